"""Differences at several steps, where one does not settle it, and what is to be believed of them.

The steps are the rungs of a ladder, each a quarter of the one before: smaller ones leave kinks and
curves behind, larger ones drown rounding errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from .numerical import Judge, Line

Array = np.ndarray[Any, Any]


class Slopes(NamedTuple):
    """Slopes at 0 along a line, summed with the cotangent, and the bend of every output (M,).

    `steepness` is the sum of their magnitudes, which cannot cancel; `rounding` their error.
    """

    derivative: float
    steepness: float
    rounding: float
    bend: Array


class Probes(NamedTuple):
    """The outputs, (M,), at the distances h and -h along a line."""

    h: float
    up: Array
    down: Array


class Triple(NamedTuple):
    """Derivatives at three steps, each a quarter of the one before.

    `apart` is how far they disagree, `doubt` how far the estimate made of them may be off.
    """

    middle: int
    numeric: float
    apart: float
    doubt: float
    rounding: float
    rough: bool

    @classmethod
    def of(cls, middle: int, wide: Slopes, medium: Slopes, narrow: Slopes) -> Triple:
        """Make one of the slopes at three steps, of which `middle` is the number of the second."""
        first, second, third = wide.derivative, medium.derivative, narrow.derivative
        apart = max(abs(first - second), abs(second - third))
        return cls(
            middle,
            (16 * second - first) / 15,  # Richardson: the h^2 terms cancel
            apart,
            max(apart, medium.rounding),  # rounded values may agree by chance
            medium.rounding,
            apart > 64 * narrow.rounding,
        )


class Ladder:
    """Differences at several steps: at three of them, and if these do not settle it, at all.

    Attributes
    ----------
    triples : list of Triple
        Empty where the function is not finite around the point.
    first, last : Slopes
        At the line's own step (None at an edge), and at the smallest one.
    deepest : int
        The number of that one.
    """

    def __init__(self, judge: Judge, line: Line, first: Probes | None) -> None:
        self.judge, self.line = judge, line
        self._probed: dict[int, Probes | None] = {} if first is None else {0: first}
        self._touched: Array | bool = False
        self._known: dict[int, Slopes | None] = {}
        found = self._three(1)
        self.triples = [] if found is None else [found]
        if found is None or not self._settles(found):
            widest = self._probes(-3)
            if widest is not None:
                self._touched = widest.up != widest.down
                self._known.clear()
            self.triples = [t for t in map(self._three, (3, 2, 1, 0, -1, -2)) if t is not None]
        self.first = self._slopes(0)
        if self.triples:
            self.deepest = self.triples[0].middle + 1
            last = self._known[self.deepest]
            assert last is not None
            self.last = last

    def _probes(self, rung: int) -> Probes | None:
        if rung not in self._probed:
            self._probed[rung] = self.judge.probes(self.line, rung)
        return self._probed[rung]

    def _slopes(self, rung: int) -> Slopes | None:
        if rung not in self._known:
            probes = self._probes(rung)
            slopes = None if probes is None else self.judge.slopes(probes, self._touched)
            self._known[rung] = slopes
        return self._known[rung]

    def _three(self, middle: int) -> Triple | None:
        wide, medium, narrow = (self._slopes(rung) for rung in (middle - 1, middle, middle + 1))
        if wide is None or medium is None or narrow is None:
            return None
        return Triple.of(middle, wide, medium, narrow)

    def _settles(self, triple: Triple) -> bool:
        """Tell whether three steps agree so well that no others are needed."""
        narrow = self._slopes(triple.middle + 1)
        assert narrow is not None
        error = abs(self.line.analytic - triple.numeric)
        allowed = self.judge.allowed(self.line, triple.numeric, triple.rounding, narrow.steepness)
        if error <= 8 * self._hidden(triple.middle):
            return False
        if error > 1000 * allowed:
            return triple.doubt <= min(error, abs(triple.numeric)) / 100
        return triple.doubt <= allowed / 100

    def _hidden(self, rung: int) -> float:
        """Return what outputs that look unchanged at a step may hide."""
        probes = self._probes(rung)
        assert probes is not None
        same = np.where(probes.up == probes.down, self.judge.base * self.judge.cotangent, 0.0)
        return self.judge.epsilon * float(np.linalg.norm(same)) / probes.h

    def best(self) -> Triple:
        """Return the three steps that agree best, with all doubts that the others raise."""
        smallest = self.triples[0]
        if len(self.triples) == 1:
            return smallest
        triples = self.triples
        if not smallest.rough:
            # What the smallest steps agree on is the truth; larger ones must not contradict it.
            reach = 8 * self.last.rounding
            triples = [t for t in triples if abs(t.numeric - smallest.numeric) <= reach] or [
                smallest
            ]
        # Rounding is four times as much at each smaller step, curvature a sixteenth.
        noise = smallest.apart / 4.0 ** (smallest.middle + 1)
        triples = [t._replace(doubt=max(t.doubt, noise * 4.0**t.middle)) for t in triples]
        best = min(triples, key=lambda t: t.doubt)
        allowed = self.judge.allowed(self.line, best.numeric, best.rounding, self.last.steepness)
        # Rounding inside of the function may be large, but what is far larger is no rounding.
        chaotic = smallest.apart > 1e7 * self.last.rounding
        converged = best.doubt <= max(allowed / 4, 0.01 * abs(best.numeric))
        if smallest.rough and (chaotic or not converged):
            best = best._replace(doubt=np.inf)
        return best

    def larger_steps_allow(self, analytic: float) -> bool:
        """Tell whether it agrees with steps that show changes which smaller ones do not."""

        def shows_all(triple: Triple) -> bool:
            narrow = self._probes(triple.middle + 1)
            return narrow is not None and not np.any(self._touched & (narrow.up == narrow.down))

        shown = [triple for triple in self.triples if shows_all(triple)]
        if not shown or shown[0] is self.triples[0]:
            return False
        return any(abs(analytic - t.numeric) <= 2 * t.doubt for t in shown)

    def fades(self) -> bool:
        """Tell whether the derivative is far smaller over the largest step, as rounding is."""
        found = sorted((n, abs(s.derivative)) for n, s in self._known.items() if s is not None)
        widest, others = found[0][1], [size for _, size in found[1:]]
        return widest <= 0.3 * max(others, default=0.0)
