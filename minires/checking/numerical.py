"""The derivative along one line, by differences, and the judgement on an analytic one.

A line leaves the point of the check along one entry of one input, or along a random direction. For
outputs y(t) in R^M at the distance t, and a cotangent c in R^M, the one-sided slopes are
D+ = (y(h) - y(0)) / h and D- = (y(0) - y(-h)) / h, and the central one is C(h) =
(y(h) - y(-h)) / 2h. They are vectors in R^M: differences are taken output by output, and only then
summed with c, which loses fewer digits than a difference of sums.

Where y is smooth, the bend |D+ - D-| is h |y''|, so it shrinks with h, and C(h) - C(h/4) is of
order h^2. At a kink neither holds: that is how one is told from a curve.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from .ladder import Ladder, Probes, Slopes, Triple
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
        plus atol times the gradient that the same slopes would sum to if nothing cancelled (and a
        thousandth of that for the largest gradient of the same input), plus the rounding error of
        the differences, as long as that is below a thousandth of the gradient.
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
    near : float
        How far to go where the function has an edge that near.
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
    near: float
    width: float
    winners: Callable[[float], Any]
    complex_slope: Callable[[], Array | None]


class Judgement(NamedTuple):
    """A derivative by differences, and what it says of the analytic one.

    `verdict` is "right", "wrong" or "kink" (not to be compared, for the reason in `why`); `excess`
    is the error over the one allowed.
    """

    verdict: str
    numeric: float
    excess: float
    why: Kink | None = None


class Judge:
    """Judge the derivatives along the lines of one input.

    Parameters
    ----------
    base, cotangent : array, (M,)
        The outputs at the point of the check, and the weights of their sum.
    settings : Settings
    epsilon : float
        Relative rounding error of the outputs.
    size, noise : float
        The largest gradient of the input, and how far it is rounded, as far as that is known.
    """

    def __init__(
        self,
        base: Array,
        cotangent: Array,
        settings: Settings,
        epsilon: float = EPSILON,
        size: float = 0.0,
        noise: float = 0.0,
    ) -> None:
        self.size = size
        self.noise = noise
        self.base = base
        self.cotangent = cotangent
        self.settings = settings
        self.epsilon = epsilon
        deviation = _deviation(base)
        # What is far from 0 and all alike may change by less than its rounding shows.
        self._offset = np.abs(base) > 1e5 * np.abs(deviation) if base.size > 1 else base != 0
        self._natural = natural_size(base, cotangent)

    def probes(self, line: Line, rung: int = 0) -> Probes | None:
        """Look to both sides at a step of the ladder; None where the function is not finite."""
        h = line.step / 4.0**rung
        up, down = line.at(h), line.at(-h)
        return Probes(h, up, down) if np.isfinite([up, down]).all() else None

    def slopes(self, probes: Probes, touched: Array | bool = False) -> Slopes:
        """Take differences.

        Parameters
        ----------
        probes : Probes
        touched : array of bool, (M,)
            Outputs that do depend on what is moved, even where they look unchanged.
        """
        h, up, down = probes
        left, right = (self.base - down) / h, (up - self.base) / h
        weight = np.abs(self.cotangent)
        # Four units in the last place of each output; half of one where that may hide a change.
        hidden = np.where(self._offset | touched, 0.125, 0.0)
        size = np.where(up == down, hidden, 1.0) * np.maximum(np.abs(up), np.abs(down))
        return Slopes(
            float((up - down) / (2 * h) @ self.cotangent),
            float(weight @ np.maximum(np.abs(left), np.abs(right))),
            4 * self.epsilon * float(np.linalg.norm(weight * size)) / h,
            np.abs(right - left),
        )

    def floor(self, line: Line) -> float:
        """Return the rounding error of the gradient under test."""
        return max(backward_rounding(self._natural, line.width), self.noise)

    def allowed(self, line: Line, numeric: float, rounding: float, steepness: float) -> float:
        """Return the error allowed between the line's derivative and the one by differences.

        Parameters
        ----------
        line : Line
        numeric, rounding, steepness : float
            The derivative by differences, its rounding error, and how steep the outputs are.
        """
        larger = max(abs(line.analytic), abs(numeric))
        # A thousandth of atol for the largest gradient: where terms cancel, it rounds the others.
        terms = self.settings.atol * (steepness + 1e-3 * self.size)
        allowed = self.settings.rtol * larger + terms + self.floor(line)
        # Differences that are rounded more coarsely prove nothing.
        return allowed + (rounding if rounding <= COARSEST * max(larger, steepness) else 0.0)

    def judge(self, line: Line, patient: bool = True) -> Judgement:
        """Judge by a first look; where that does not settle it, look again at other steps.

        Without patience, what is smooth and far off is called wrong at the first look.
        """
        probes = self.probes(line)
        first = None if probes is None else self.slopes(probes)
        if not np.isfinite(line.analytic):
            if first is None and not np.isnan(line.analytic):
                return Judgement("kink", np.nan, 0.0, Kink.EDGE)
            return Judgement("wrong", np.nan if first is None else first.derivative, np.inf)
        if first is not None:
            bend = float(np.abs(self.cotangent) @ first.bend)
            if bend <= 1e-3 * first.steepness + first.rounding:
                error = abs(line.analytic - first.derivative)
                allowed = self.allowed(line, first.derivative, first.rounding, first.steepness)
                if error <= allowed or (not patient and error > 1000 * allowed):
                    verdict = "right" if error <= allowed else "wrong"
                    return Judgement(verdict, first.derivative, _ratio(error, allowed))
        return self._look_closer(line, probes)

    def _look_closer(self, line: Line, first: Probes | None) -> Judgement:
        if first is None and line.near < line.step:
            line = replace(line, step=line.near)
            first = self.probes(line)
        ladder = Ladder(self, line, first)
        if not ladder.triples:
            return Judgement("kink", np.nan, 0.0, Kink.EDGE)
        best, last = ladder.best(), ladder.last
        allowed = self.allowed(line, best.numeric, best.rounding, last.steepness)
        kink = self._kink(ladder.first, last, line.step / 4.0**ladder.deepest)
        finest = self.allowed(line, last.derivative, last.rounding, last.steepness)
        finest_error = abs(line.analytic - last.derivative)
        if kink > allowed + last.rounding:
            # Any slope between the two sides is a valid one; what lies outside is wrong here, too.
            if finest_error <= 0.501 * kink + allowed + last.rounding + 2 * best.doubt:
                why = Kink.SIDES if best.doubt <= kink else Kink.ROUGH
                return Judgement("kink", last.derivative, 0.0, why)
            return Judgement("wrong", last.derivative, _ratio(finest_error, allowed))
        numeric, doubt, error = best.numeric, best.doubt, abs(line.analytic - best.numeric)
        if error > allowed:
            exact = self._by_complex_step(line, numeric, doubt)
            if exact is not None:
                numeric, doubt = exact, 0.0
                error = abs(line.analytic - numeric)
                allowed = self.allowed(line, numeric, 0.0, last.steepness)
        if error <= allowed:
            return Judgement("right", numeric, _ratio(error, allowed))
        if self._is_zero(line, ladder, best):
            return Judgement("right", numeric, _ratio(error, self.floor(line) + 8 * best.rounding))
        precise = last.rounding <= COARSEST * max(abs(last.derivative), last.steepness)
        if precise and finest_error <= finest:
            # The smallest step is the only one that a kink near by has left.
            return Judgement("right", last.derivative, _ratio(finest_error, finest))
        near = precise and finest_error <= finest + 8 * last.rounding
        if near or error <= 2 * doubt + allowed or ladder.larger_steps_allow(line.analytic):
            small = self.settings.atol * self.size
            if error <= small:
                # Too small to be told beside the other gradients, as where a sigmoid is flat.
                return Judgement("right", numeric, _ratio(error, small))
            return Judgement("kink", numeric, 0.0, Kink.ROUGH)
        if max(self.size, abs(numeric)) <= 1e4 * self.floor(line):
            return Judgement("kink", numeric, 0.0, Kink.ROUGH)  # all of it is nearly rounding
        # Where several branches meet, a convention may count some of them twice.
        bounded = abs(line.analytic) <= 4 * last.steepness + allowed
        if bounded and self._another_wins(line, line.step / 4.0 ** (best.middle - 1)):
            return Judgement("kink", numeric, 0.0, Kink.WINNER)
        return Judgement("wrong", numeric, _ratio(error, allowed))

    def _is_zero(self, line: Line, ladder: Ladder, best: Triple) -> bool:
        """Tell whether the derivative is zero, as far as differences can tell: all is rounding.

        They never are exactly zero, but where it is, larger steps come closer to it.
        """
        floor, rounding = self.floor(line), 8 * best.rounding
        resolved = rounding <= COARSEST * self._natural / line.width
        small = abs(line.analytic) <= floor and abs(best.numeric) <= floor + rounding
        return small and resolved and ladder.fades()

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


def _deviation(base: Array) -> Array:
    deviation: Array = base - base.mean() if base.size > 1 else base
    return deviation


def natural_size(base: Array, cotangent: Array) -> float:
    """Return how large gradients are by the size of the outputs (M,), for an input of size 1.

    What is the same in all outputs does not count: a backward pass knows nothing of it.
    """
    return float(np.linalg.norm(_deviation(base) * cotangent))


def backward_rounding(natural: float, width: float) -> float:
    """Return the rounding error of a backward pass, in which large terms may cancel."""
    return 16 * EPSILON * natural / width


def _ratio(error: float, allowed: float) -> float:
    return error / allowed if allowed else (0.0 if error == 0 else np.inf)
