"""Numerical derivatives, entry by entry, and the judgement on an analytic one.

For outputs y = f(x) in R^M, a cotangent c in R^M and one entry of x moved by h, the one-sided
slopes are D+ = (f(x+h) - f(x)) / h and D- = (f(x) - f(x-h)) / h, and the central one is C(h) =
(f(x+h) - f(x-h)) / 2h. They are vectors in R^M: differences are taken output by output, and only
then summed with c, which loses fewer digits than a difference of sums.

Where f is smooth, the bend |D+ - D-| is h |f''|, so it halves with h, and C(h) - C(h/2) is of
order h^2. At a kink neither holds: that is how one is told from a curve.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .report import Entry, Index, InputReport

Array = np.ndarray[Any, Any]

_EPSILON = float(np.finfo(np.float64).eps)


class Settings(NamedTuple):
    """How a check is done.

    Attributes
    ----------
    step : float
        Relative to max(1, |x|). The default balances the rounding error, epsilon / h, against the
        truncation error, h^2.
    rtol, atol : float
        An error may be atol + rtol times the larger of the two values.
    seed : int
        Of the cotangents and of the choice of entries.
    max_entries : int or None
        How many entries of an input to look at.
    """

    step: float = float(np.cbrt(_EPSILON))
    rtol: float = 1e-6
    atol: float = 1e-8
    seed: int = 0
    max_entries: int | None = None

    def allowed(self, a: float, b: float) -> float:
        """Return the error allowed between a and b."""
        return self.atol + self.rtol * max(abs(a), abs(b))


class Slopes(NamedTuple):
    """Slopes of every output along one entry of the input, each (M,)."""

    left: Array
    right: Array
    central: Array
    bend: Array


def slopes(f: Callable[[float], Array], x: float, base: Array, h: float) -> Slopes | None:
    """Return the slopes of `f` at x, where it is `base`; None where f is not finite around x."""
    above, below = x + h, x - h  # rounded: the true distances are above - x and x - below
    up, down = f(above), f(below)
    if not (np.isfinite(up).all() and np.isfinite(down).all()):
        return None
    left, right = (base - down) / (x - below), (up - base) / (above - x)
    return Slopes(left, right, (up - down) / (above - below), np.abs(right - left))


class Judgement(NamedTuple):
    """`verdict` is "right", "wrong" or "kink"; `excess` the error over the one allowed."""

    verdict: str
    numeric: float
    excess: float


def judge(
    analytic: float,
    f: Callable[[float], Array],
    x: float,
    base: Array,
    cotangent: Array,
    settings: Settings,
) -> Judgement:
    """Compare one entry of a gradient with differences of `f`, the outputs at a moved x."""
    h = settings.step * max(1.0, abs(x))
    weight = np.abs(cotangent)
    whole = slopes(f, x, base, h)
    if whole is None:
        return Judgement("wrong" if np.isnan(analytic) else "kink", np.nan, np.inf)
    numeric = float(whole.central @ cotangent)
    if not np.isfinite(analytic):
        return Judgement("wrong", numeric, np.inf)
    error, allowed = abs(analytic - numeric), settings.allowed(analytic, numeric)
    steepness = weight @ np.maximum(np.abs(whole.left), np.abs(whole.right))
    if error <= allowed and weight @ whole.bend <= 1e-3 * steepness:
        return Judgement("right", numeric, error / allowed)

    # It bends, or does not agree: half the step tells a kink from a curve.
    half = slopes(f, x, base, h / 2)
    if half is None:
        return Judgement("kink", np.nan, 0.0)
    stays = half.bend > 0.75 * whole.bend
    moves = np.abs(whole.central - half.central) > 0.1 * whole.bend
    rounding = 16 * _EPSILON * np.abs(base).max(initial=0.0) / h
    kink = float((weight * whole.bend)[(stays | moves) & (whole.bend > rounding)].sum())
    if kink > allowed:
        # Any slope between the two sides is a valid one; what lies outside is wrong here, too.
        between = error <= 0.501 * kink + allowed
        return Judgement("kink" if between else "wrong", numeric, error / allowed)
    halved = float(half.central @ cotangent)
    doubt = abs(numeric - halved)
    numeric = (4 * halved - numeric) / 3  # Richardson: the h^2 terms cancel
    error, allowed = abs(analytic - numeric), settings.allowed(analytic, numeric)
    if error <= allowed:
        return Judgement("right", numeric, error / allowed)
    return Judgement("kink" if error <= doubt else "wrong", numeric, error / allowed)


def compare(
    name: str,
    array: Array,
    analytic: Array,
    outputs: Callable[[], Array],
    cotangent: Array,
    settings: Settings,
    note: str = "",
) -> InputReport:
    """Compare the gradient of one input.

    Parameters
    ----------
    name, note : str
        For the report.
    array : array
        The input; `outputs` depends on it. Its entries are moved in place, and put back.
    analytic : array
        The gradient to be judged, of the same shape.
    outputs : callable
        Returns all outputs as one vector (M,), not sharing memory with `array`.
    cotangent : array, (M,)
    settings : Settings
    """
    base = outputs()
    chosen = _chosen(array.shape, settings)
    kinks, wrong, worst, worst_excess = [], 0, None, -1.0
    for index in chosen:
        x, entry = float(array[index]), float(analytic[index])

        def moved(value: float, index: Index = index, x: float = x) -> Array:
            array[index] = value
            try:
                return outputs()
            finally:
                array[index] = x

        verdict, numeric, excess = judge(entry, moved, x, base, cotangent, settings)
        if verdict == "kink":
            kinks.append(index)
            continue
        wrong += verdict == "wrong"
        if excess > worst_excess:
            worst, worst_excess = Entry(index, entry, numeric), excess
    return InputReport(name, array.shape, len(chosen), wrong, tuple(kinks), worst, note)


def _chosen(shape: tuple[int, ...], settings: Settings) -> list[Index]:
    indices = list(np.ndindex(shape))
    if settings.max_entries is None or len(indices) <= settings.max_entries:
        return indices
    rng = np.random.default_rng(settings.seed)
    drawn = rng.choice(len(indices), settings.max_entries, replace=False)
    return [indices[number] for number in sorted(drawn)]
