"""The derivative along one line, by differences, and the judgement on an analytic one.

A line leaves the point of the check along one entry of one input, or along a random direction. For
outputs y(t) in R^M at the distance t, and a cotangent c in R^M, the one-sided slopes are
D+ = (y(h) - y(0)) / h and D- = (y(0) - y(-h)) / h, and the central one is C(h) =
(y(h) - y(-h)) / 2h. They are vectors in R^M: differences are taken output by output, and only then
summed with c, which loses fewer digits than a difference of sums.

Where y is smooth, the bend |D+ - D-| is h |y''|, so it shrinks with h, and C(h) - C(h/4) is of
order h^2. At a kink neither holds: that is how one is told from a curve. Where the first step
does not settle it, further ones are tried, each a quarter of the one before: smaller ones leave
kinks and curves behind, larger ones drown rounding errors.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .report import Kink

Array = np.ndarray[Any, Any]

EPSILON = float(np.finfo(np.float64).eps)

# Differences must be precise to this share of the gradient's size to be compared with.
COARSEST = 1e-3


class Settings(NamedTuple):
    """How a check is done.

    Attributes
    ----------
    step : float
        Relative to the size of what is moved. The default, the cube root of float64's epsilon,
        balances the rounding error, epsilon / h, against the truncation error, h^2.
    rtol : float
        An error may be rtol times the larger of the two values compared,
    atol : float
        plus atol times the largest gradient of the same input, plus the rounding error of the
        differences, as long as that is below a thousandth of that gradient.
    seed : int
        Of the cotangents, the directions, and the choice of entries.
    mode : {"auto", "full", "random"}
        Every entry, or random directions; "auto" is "full" up to `FULL` entries in all.
    samples : int
        How many random directions.
    """

    step: float = float(np.cbrt(EPSILON))
    rtol: float = 1e-6
    atol: float = 1e-8
    seed: int = 0
    mode: str = "auto"
    samples: int = 4


@dataclass(frozen=True)
class Line:
    """A way out of the point of the check.

    Attributes
    ----------
    at : callable
        From a distance t to all outputs there, as one vector (M,).
    analytic : float
        The derivative under test.
    step : float
        How far to go at first; so rounded that the point at this distance is exact.
    width : float
        How large what is moved is.
    winners : callable
        From a distance to what won there in every comparison, maximum, ReLU and so on; None where
        that cannot be seen.
    complex_slope : callable
        Returns the slopes of all outputs (M,) by a complex step, or None.
    """

    at: Callable[[float], Array]
    analytic: float
    step: float
    width: float
    winners: Callable[[float], Any]
    complex_slope: Callable[[], Array | None]


class Slopes(NamedTuple):
    """Slopes at 0 along a line, summed with the cotangent, and the bend of every output (M,)."""

    derivative: float
    steepness: float
    rounding: float
    bend: Array

    @classmethod
    def along(
        cls, line: Line, base: Array, cotangent: Array, h: float, epsilon: float
    ) -> Slopes | None:
        """Take them at the step h; None where the function is not finite around 0."""
        up, down = line.at(h), line.at(-h)
        if not (np.isfinite(up).all() and np.isfinite(down).all()):
            return None
        left, right = (base - down) / h, (up - base) / h
        weight = np.abs(cotangent)
        # Four units in the last place of each output; where it did not change, half of one.
        size = np.where(up == down, 0.125, 1.0) * np.maximum(np.abs(up), np.abs(down))
        return cls(
            float((up - down) / (2 * h) @ cotangent),
            float(weight @ np.maximum(np.abs(left), np.abs(right))),
            4 * epsilon * float(np.linalg.norm(weight * size)) / h,
            np.abs(right - left),
        )


class FirstLook(NamedTuple):
    """What is remembered of the slopes at the first step, while those of other lines are taken."""

    derivative: float
    rounding: float
    straight: bool


class Judgement(NamedTuple):
    """A derivative by differences, and what it says of the analytic one.

    `verdict` is "right", "wrong" or "kink" (not to be compared, for the reason in `why`); `excess`
    is the error over the one allowed.
    """

    verdict: str
    numeric: float
    excess: float
    why: Kink | None = None


class _Triple(NamedTuple):
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
    def of(cls, middle: int, wide: Slopes, medium: Slopes, narrow: Slopes) -> _Triple:
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


class Estimate(NamedTuple):
    """A derivative by differences at several steps.

    Attributes
    ----------
    numeric, doubt, rounding : float
        The best estimate, how far it may be off, and how much of that is rounding.
    last : Slopes
        Those at the smallest step taken,
    kink : float
        by how much the slopes of its two sides differ where no smaller step mends that,
    step : float
        and how large it was.
    """

    numeric: float
    doubt: float
    rounding: float
    last: Slopes
    kink: float
    step: float


class Judge:
    """Judge the derivatives along the lines of one input.

    Parameters
    ----------
    base, cotangent : array, (M,)
        The outputs at the point of the check, and the weights of their sum.
    settings : Settings
    epsilon : float
        Relative rounding error of the outputs.
    """

    def __init__(
        self, base: Array, cotangent: Array, settings: Settings, epsilon: float = EPSILON
    ) -> None:
        self.base = base
        self.cotangent = cotangent
        self.settings = settings
        self.epsilon = epsilon
        # A backward pass rounds, too, where large terms cancel.
        self._rounding = 16 * EPSILON * float(np.linalg.norm(base * cotangent))

    def first_look(self, line: Line) -> FirstLook | None:
        """Take differences at the line's own step; None where the function is not finite."""
        slopes = self._slopes(line, 0)
        if slopes is None:
            return None
        bend = float(np.abs(self.cotangent) @ slopes.bend)
        straight = bend <= 1e-3 * slopes.steepness + slopes.rounding
        return FirstLook(slopes.derivative, slopes.rounding, straight)

    def _slopes(self, line: Line, rung: int) -> Slopes | None:
        h = line.step / 4.0**rung
        return Slopes.along(line, self.base, self.cotangent, h, self.epsilon)

    def allowed(self, line: Line, numeric: float, rounding: float, size: float) -> float:
        """Return the error allowed between the line's derivative and the one by differences.

        Parameters
        ----------
        line : Line
        numeric, rounding : float
            The derivative by differences, and its rounding error.
        size : float
            Of the gradient that the line belongs to.
        """
        larger = max(abs(line.analytic), abs(numeric))
        floor = self._rounding / line.width
        allowed = self.settings.rtol * larger + self.settings.atol * size + floor
        if abs(line.analytic) <= floor:
            return allowed + 8 * rounding  # zero, which differences never are exactly
        return allowed + (rounding if rounding <= COARSEST * max(larger, size) else 0.0)

    def judge(
        self, line: Line, first: FirstLook | None, size: float, patient: bool = True
    ) -> Judgement:
        """Judge by a first look; where that does not settle it, look again at other steps.

        Without patience, what is smooth and far off is called wrong at the first look.
        """
        if not np.isfinite(line.analytic):
            if first is None and not np.isnan(line.analytic):
                return Judgement("kink", np.nan, 0.0, Kink.EDGE)
            return Judgement("wrong", np.nan if first is None else first.derivative, np.inf)
        if first is not None and first.straight:
            error = abs(line.analytic - first.derivative)
            allowed = self.allowed(line, first.derivative, first.rounding, size)
            if error <= allowed:
                return Judgement("right", first.derivative, _ratio(error, allowed))
            if not patient and error > 1000 * allowed:
                return Judgement("wrong", first.derivative, _ratio(error, allowed))
        return self._look_closer(line, size)

    def _look_closer(self, line: Line, size: float) -> Judgement:
        found = self._estimate(line, size)
        if found is None:
            return Judgement("kink", np.nan, 0.0, Kink.EDGE)
        numeric, doubt, rounding, last, kink, step = found
        allowed = self.allowed(line, numeric, rounding, size)
        if kink > allowed + last.rounding:
            # Any slope between the two sides is a valid one; what lies outside is wrong here, too.
            error = abs(line.analytic - last.derivative)
            if error <= 0.501 * kink + allowed + last.rounding + 2 * doubt:
                why = Kink.SIDES if doubt <= kink else Kink.ROUGH
                return Judgement("kink", last.derivative, 0.0, why)
            return Judgement("wrong", last.derivative, _ratio(error, allowed))
        error = abs(line.analytic - numeric)
        if error > allowed:
            exact = self._by_complex_step(line, numeric, doubt)
            if exact is not None:
                numeric, doubt = exact, 0.0
                error = abs(line.analytic - numeric)
                allowed = self.allowed(line, numeric, 0.0, size)
        if error <= allowed:
            return Judgement("right", numeric, _ratio(error, allowed))
        if error <= 2 * doubt + allowed:
            return Judgement("kink", numeric, 0.0, Kink.ROUGH)
        if self._another_wins(line, step):
            return Judgement("kink", numeric, 0.0, Kink.WINNER)
        return Judgement("wrong", numeric, _ratio(error, allowed))

    def _estimate(self, line: Line, size: float) -> Estimate | None:
        """Take differences at other steps, and those that agree best; None at an edge."""
        slopes = functools.cache(functools.partial(self._slopes, line))

        def three(middle: int) -> _Triple | None:
            found = [slopes(rung) for rung in (middle - 1, middle, middle + 1)]
            return None if None in found else _Triple.of(middle, *found)  # type: ignore[arg-type]

        best, deepest = three(1), 2
        if best is None or not self._settles(best, line, size):
            triples = [t for t in map(three, (1, 2, 3, 0, -1, -2)) if t is not None]
            if not triples:
                return None
            smallest = max(triples, key=lambda triple: triple.middle)
            # Rounding is four times as much at each smaller step, curvature a sixteenth.
            noise = smallest.apart / 4.0 ** (smallest.middle + 1)
            triples = [t._replace(doubt=max(t.doubt, noise * 4.0**t.middle)) for t in triples]
            best, deepest = min(triples, key=lambda t: t.doubt), smallest.middle + 1
            allowed = self.allowed(line, best.numeric, best.rounding, size)
            if best.doubt > max(allowed / 4, 0.01 * abs(best.numeric)) and smallest.rough:
                best = best._replace(doubt=np.inf)  # nothing converges
        last, step = slopes(deepest), line.step / 4.0**deepest
        assert last is not None
        kink = self._kink(slopes(0), last, step)
        return Estimate(best.numeric, best.doubt, best.rounding, last, kink, step)

    def _settles(self, triple: _Triple, line: Line, size: float) -> bool:
        """Tell whether three steps agree so well that no others are needed."""
        error = abs(line.analytic - triple.numeric)
        allowed = self.allowed(line, triple.numeric, triple.rounding, size)
        gross = error > 1000 * allowed and triple.doubt <= min(error, abs(triple.numeric)) / 100
        return gross or triple.doubt <= allowed / 100

    def _kink(self, first: Slopes | None, narrow: Slopes, h: float) -> float:
        """Return by how much the slopes of both sides differ where no smaller step mends it."""
        weight = np.abs(self.cotangent)
        rounding = 16 * self.epsilon * np.abs(self.base).max(initial=0.0) / h
        stays = narrow.bend > rounding
        if first is not None and first is not narrow:
            # A curve bends less over a smaller step, rounding seems to bend more.
            stays &= (0.25 * first.bend < narrow.bend) & (narrow.bend < 4 * first.bend)
        return float((weight * narrow.bend)[stays].sum())

    def _by_complex_step(self, line: Line, numeric: float, doubt: float) -> float | None:
        """Return an exact derivative, if the function is analytic: if differences confirm it."""
        slope = line.complex_slope()
        if slope is None or slope.shape != self.cotangent.shape or not np.isfinite(slope).all():
            return None
        exact = float(slope @ self.cotangent)
        confirmed = doubt <= 0.1 * abs(numeric) and abs(exact - numeric) <= 4 * doubt
        return exact if confirmed else None

    @staticmethod
    def _another_wins(line: Line, h: float) -> bool:
        """Tell whether different branches were taken, or maxima found elsewhere, on the sides."""
        below, above = line.winners(-h), line.winners(h)
        return below is not None and above is not None and below != above


def _ratio(error: float, allowed: float) -> float:
    return error / allowed if allowed else (0.0 if error == 0 else np.inf)
