"""The gradient of one input against differences: entry by entry, or along random directions."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from .numerical import Array, Judge, Judgement, Line
from .patterns import Evidence, patterns
from .point import Point
from .report import NOTICEABLE, Entry, Index, InputReport

_CUT = "no gradient reached it; was the graph cut, by detach or NumPy?"
# How many entries are looked at to tell what a disagreement is like.
_EVIDENCE = 48
# How many entries at random, where directions were wrong.
_SAMPLE = 128
# After so many wrong entries of an input, others that are far off are not looked at again.
_PATIENCE = 64
# How many numbers the slopes of these may have.
_MOST_SLOPES = 4_000_000


class Comparison:
    """Compare the gradient of one input.

    Parameters
    ----------
    point : Point
    number : int
        Which input.
    gradient : array or None
        The gradient to be judged, of the input's shape; None, where none came, counts as zeros.
    group : str
        For the report.
    noise : float
        By how much the gradient of a sum differs from the sum of its parts' gradients.
    """

    def __init__(
        self,
        point: Point,
        number: int,
        gradient: Array | None,
        group: str = "",
        noise: float = 0.0,
    ) -> None:
        self.point = point
        self.number = number
        self.shape = point.inputs[number].shape
        self.gradient = np.zeros(self.shape) if gradient is None else gradient
        self.group = group
        self.note = _CUT if gradient is None else ""
        size = float(np.abs(self.gradient[np.isfinite(self.gradient)]).max(initial=0.0))
        noise = min(100 * noise, 1e-5 * size)
        self.judge = Judge(point.base, point.cotangent, point.settings, point.epsilon, size, noise)
        self.numeric = np.full(self.shape, np.nan)
        self.wrong = np.zeros(self.shape, bool)
        self._wrong_direction: tuple[Array, Line] | None = None

    def every_entry(self) -> InputReport:
        """Compare entry by entry."""
        judgements = self._entries(list(np.ndindex(self.shape)))
        return self._report(judgements, self._worst(judgements))

    def random_directions(self) -> InputReport:
        """Compare the derivatives along random directions, two evaluations each.

        An error e of the gradient shows in a direction z, drawn from a normal distribution, as
        e . z, which is normal with the deviation |e|. So it stays below the tolerance a with a
        probability of at most sqrt(2 / pi) a / |e|, and in k directions with the k-th power.
        """
        settings = self.point.settings
        rng = np.random.default_rng([settings.seed, 1 + self.number])
        directions = [np.asarray(rng.standard_normal(self.shape)) for _ in range(settings.samples)]
        lines = [
            self.point.direction(self.number, z, float(np.vdot(z, self.gradient)))
            for z in directions
        ]
        judgements: dict[Index, Judgement] = {
            (k,): self.judge.judge(line) for k, line in enumerate(lines)
        }
        missed = self._miss_probability(lines, list(judgements.values()))
        for z, line, found in zip(directions, lines, judgements.values(), strict=True):
            if found.verdict == "wrong":
                self._wrong_direction = z, line
        return self._report(judgements, None, True, missed)

    def explained(self, row: InputReport, cotangents: list[Array]) -> InputReport:
        """Look closely at an input that is wrong: at what entries, and at their pattern."""
        worst = row.worst
        if self._wrong_direction is not None:
            index = self._followed(*self._wrong_direction)
            self._entries(sorted({index, *self._some(_SAMPLE)}), patience=0)
            worst = Entry(index, float(self.gradient[index]), float(self.numeric[index]))
        told = patterns(self._evidence(cotangents))
        return replace(row, worst=worst, patterns=tuple(told))

    def _entries(self, indices: list[Index], patience: int = _PATIENCE) -> dict[Index, Judgement]:
        """Judge these entries, and remember their numeric values and which are wrong."""
        judgements: dict[Index, Judgement] = {}
        wrong = 0
        for index in indices:
            line = self.point.entry(self.number, index, float(self.gradient[index]))
            found = self.judge.judge(line, patient=wrong < patience)
            wrong += found.verdict == "wrong"
            judgements[index] = found
            self.wrong[index] = found.verdict == "wrong"
            if found.verdict != "kink":
                self.numeric[index] = found.numeric
        return judgements

    def _worst(self, judgements: dict[Index, Judgement]) -> Entry | None:
        compared = {i: found for i, found in judgements.items() if found.verdict != "kink"}
        if not compared:
            return None
        wrong = [i for i in compared if self.wrong[i]]
        if wrong:
            errors = {i: abs(self.gradient[i] - compared[i].numeric) for i in wrong}
            index = max(wrong, key=lambda i: np.nan_to_num(errors[i], nan=np.inf))
        else:
            index = max(compared, key=lambda i: compared[i].excess)
        return Entry(index, float(self.gradient[index]), compared[index].numeric)

    def _report(
        self,
        judgements: dict[Index, Judgement],
        worst: Entry | None,
        directions: bool = False,
        missed: float = 0.0,
    ) -> InputReport:
        kinks = [(i, found.why) for i, found in judgements.items() if found.why is not None]
        return InputReport(
            self.point.names[self.number],
            self.shape,
            len(judgements),
            sum(found.verdict == "wrong" for found in judgements.values()),
            tuple(kinks),
            worst,
            max((found.excess for found in judgements.values()), default=0.0),
            self.group,
            self.note,
            directions=directions,
            miss_probability=missed,
            analytic=self.gradient,
            numeric=self.numeric,
            wrong_entries=self.wrong,
        )

    def _miss_probability(self, lines: list[Line], judgements: list[Judgement]) -> float:
        noticeable = NOTICEABLE * float(np.linalg.norm(self.gradient))
        if not noticeable:
            return 0.0
        chance = 1.0
        for line, found in zip(lines, judgements, strict=True):
            if found.verdict == "right":
                allowed = self.judge.allowed(line, found.numeric, 0.0, abs(found.numeric))
                chance *= min(1.0, math.sqrt(2 / math.pi) * allowed / noticeable)
        return chance

    def _followed(self, direction: Array, line: Line) -> Index:
        """Follow an error along a direction to a single entry: always to the half with more of it.

        The errors of two halves add up to that of the whole, so one of them is measured.
        """
        flat, gradient = direction.ravel(), self.gradient.ravel()
        low, high = 0, flat.size
        error = self._error(line)
        while high - low > 1:
            middle = (low + high) // 2
            part = np.zeros(flat.size)
            part[low:middle] = flat[low:middle]
            half = part.reshape(self.shape)
            analytic = float(gradient[low:middle] @ flat[low:middle])
            found = self._error(self.point.direction(self.number, half, analytic))
            if abs(found) >= abs(error - found):
                high, error = middle, found
            else:
                low, error = middle, error - found
        return tuple(int(i) for i in np.unravel_index(low, self.shape))

    def _error(self, line: Line) -> float:
        probes = self.judge.probes(line)
        return 0.0 if probes is None else line.analytic - self.judge.slopes(probes).derivative

    def _some(self, count: int) -> list[Index]:
        """Return at most `count` entries, drawn at random."""
        size = math.prod(self.shape)
        rng = np.random.default_rng([self.point.settings.seed, 1 + self.number])
        drawn = rng.choice(size, min(count, size), replace=False)
        return [tuple(int(i) for i in np.unravel_index(number, self.shape)) for number in drawn]

    def _evidence(self, cotangents: list[Array]) -> Evidence:
        """Return what tells the pattern of a disagreement."""
        known = np.flatnonzero(~np.isnan(self.numeric.ravel()))
        wrong = self.wrong.ravel()[known]
        rng = np.random.default_rng(self.point.settings.seed)
        most = min(_EVIDENCE, max(_MOST_SLOPES // max(self.point.base.size, 1), 1))
        # Mostly wrong ones, and some right ones beside them.
        order = np.argsort(rng.random(known.size) + ~wrong, kind="stable")
        chosen = np.concatenate([known[order][: most - most // 4], known[order][::-1][: most // 4]])
        entries = np.unique(chosen)
        slopes = [self._slopes(int(flat)) for flat in entries]
        return Evidence(
            analytic=self.gradient,
            numeric=self.numeric,
            wrong=self.wrong,
            x=self.point.inputs[self.number].copy(),
            cotangents=cotangents,
            entries=entries,
            slopes=np.array(slopes).reshape(len(entries), self.point.base.size),
            rtol=max(self.point.settings.rtol, 1e-6),
        )

    def _slopes(self, flat: int) -> Array:
        index = tuple(int(i) for i in np.unravel_index(flat, self.shape))
        line = self.point.entry(self.number, index, 0.0)
        return (line.at(line.step) - line.at(-line.step)) / (2 * line.step)
