"""Where a gradient is wrong: a border, a slice, every second row, where the input is negative."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .evidence import Evidence, named
from .ratios import where_wrong

Array = np.ndarray[Any, Any]

# Of the ways to spread as many wrong entries at random, at most one in so many may look alike.
_CHANCE = 400


def regions(evidence: Evidence) -> Iterator[str]:
    """Yield where the wrong entries lie, if that has a name."""
    wrong, right = int(evidence.w.sum()), int((~evidence.w).sum())
    if not wrong:
        return
    factor = where_wrong(evidence)
    there = f" There, {factor}." if factor else ""
    if wrong == 1 and right >= 4:
        index = tuple(int(axis[evidence.w][0]) for axis in evidence.indices)
        yield (
            f"Only one entry is wrong, {index}. Is a special case, such as a tie or a bound,"
            " treated wrongly?"
        )
        return
    rows = _zero_rows(evidence)
    place = (
        rows
        or _along_an_axis(evidence)
        or _borders(evidence)
        or _phases(evidence)
        or _sign_of_x(evidence)
    )
    if place:
        yield place + ("" if place == rows else there)
    elif factor == "analytic is 0":
        yield (
            "Wherever it is wrong, the analytic gradient is 0. Are contributions masked, or not"
            " reached?"
        )
    elif factor:
        yield f"Wherever it is wrong, {factor}. Is a contribution counted too often or too rarely?"


def _unlikely(total: int, some: int, alike: int) -> bool:
    return math.comb(total, some) >= _CHANCE * alike


def _telling(evidence: Evidence) -> Array:
    """Entries that are not zero in both gradients: such ones are right whatever the mistake."""
    return np.maximum(np.abs(evidence.a), np.abs(evidence.n)) > evidence.tolerance


def _zero_rows(evidence: Evidence) -> str:
    size = float(np.abs(evidence.n).max())
    known = (np.abs(evidence.n) > 100 * evidence.tolerance) & (evidence.w | (evidence.a != 0))
    zero = (np.abs(evidence.a) <= 1e-12 * size)[known]
    found = _slices(evidence, known, zero)
    if not found:
        return ""
    axis, places, everywhere = found
    return (
        f"The analytic gradient is 0 {_described(places, everywhere, axis)}, where the numeric one"
        " is not. Are these slices never reached, or overwritten?"
    )


def _along_an_axis(evidence: Evidence) -> str:
    known = _telling(evidence)
    found = _slices(evidence, known, evidence.w[known])
    if not found:
        return ""
    axis, places, everywhere = found
    right = [place for place in everywhere if place not in places]
    if len(right) == 1 and len(places) > 1:
        return (
            f"Everything is wrong except {_described(right, everywhere, axis)}. Is only one slice"
            " along it used?"
        )
    return (
        f"It is wrong {_described(places, everywhere, axis)}, and right elsewhere. Are these"
        " slices treated differently?"
    )


def _slices(
    evidence: Evidence, known: Array, chosen: Array
) -> tuple[int, list[int], list[int]] | None:
    """Find an axis along which whole slices are chosen: the axis, those slices, and all known."""
    for axis, size in enumerate(evidence.numeric.shape):
        place = evidence.indices[axis][known]
        total = np.bincount(place, minlength=size)
        some = np.bincount(place[chosen], minlength=size)
        places, everywhere = np.flatnonzero(some), np.flatnonzero(total)
        whole = bool(((some == 0) | (some == total)).all())
        if not whole or not 0 < len(places) < len(everywhere):
            continue
        if _unlikely(len(place), int(chosen.sum()), _as_simple(places, everywhere)):
            return axis, places.tolist(), everywhere.tolist()
    return None


def _as_simple(places: Array, everywhere: Array) -> int:
    """Count the sets of slices that are as simple to describe."""
    if min(len(places), len(everywhere) - len(places)) == 1:
        return len(everywhere)
    return 10 if _period(places, everywhere) else int(2 ** len(everywhere))


def _period(places: Array, everywhere: Array) -> tuple[int, int] | None:
    """Return (s, r) where exactly the places i with i % s == r are meant."""
    for s in range(2, len(everywhere) // 2 + 1):
        r = int(places[0]) % s
        if len(places) > 1 and np.array_equal(places, everywhere[everywhere % s == r]):
            return s, r
    return None


def _described(places: list[int], everywhere: list[int], axis: int) -> str:
    if len(places) == 1:
        name = {everywhere[0]: "first", everywhere[-1]: "last"}.get(places[0])
        title = f"{name} entry" if name else f"index {places[0]}"
        return f"at the {title} along axis {axis}" if name else f"at {title} along axis {axis}"
    period = _period(np.array(places), np.array(everywhere))
    if period:
        return f"exactly where index % {period[0]} == {period[1]} along axis {axis}"
    listed = ", ".join(map(str, places[:6])) + (", ..." if len(places) > 6 else "")
    return f"at {listed} along axis {axis}"


def _borders(evidence: Evidence) -> str:
    shape, known = evidence.numeric.shape, _telling(evidence)
    wrong = evidence.w[known]
    last_two = tuple(range(max(0, len(shape) - 2), len(shape)))
    for axes in {last_two, *((axis,) for axis in last_two)} - {()}:
        for width in (1, 2):
            if any(shape[axis] <= 2 * width for axis in axes):
                continue
            border = np.zeros(int(known.sum()), bool)
            for axis in axes:
                place = evidence.indices[axis][known]
                border |= (place < width) | (place >= shape[axis] - width)
            if not _unlikely(len(wrong), int(wrong.sum()), 12):
                continue
            wide = "" if width == 1 else f", {width} wide,"
            if np.array_equal(wrong, border):
                return (
                    f"Only the border of {named(axes)}{wide} is wrong. Is the padding treated"
                    " wrongly?"
                )
            if np.array_equal(wrong, ~border):
                return (
                    f"Only the border of {named(axes)}{wide} is right. Is the interior, where"
                    " windows overlap, not added up?"
                )
    return ""


def _phases(evidence: Evidence) -> str:
    """Right and wrong repeat with a period in both of the last two axes."""
    shape, known = evidence.numeric.shape, _telling(evidence)
    if len(shape) < 2:
        return ""
    wrong = evidence.w[known]
    rows, columns = (axis[known] for axis in evidence.indices[-2:])
    for s in (2, 3, 4):
        if min(shape[-2:]) < s + 1 or not _unlikely(len(wrong), int(wrong.sum()), 2 ** (s * s)):
            continue
        phase = rows % s * s + columns % s
        total, some = (np.bincount(p, minlength=s * s) for p in (phase, phase[wrong]))
        phases = np.count_nonzero(some)
        if ((some == 0) | (some == total)).all() and 0 < phases < np.count_nonzero(total):
            last_two = named((len(shape) - 2, len(shape) - 1))
            return f"Right and wrong repeat every {s} entries along {last_two}. Is it the stride?"
    return ""


def _sign_of_x(evidence: Evidence) -> str:
    known = _telling(evidence)
    wrong, x = evidence.w[known], evidence.everywhere(evidence.x)[known]
    if not _unlikely(len(wrong), int(wrong.sum()), 2) or (x == 0).any():
        return ""
    for name, where in (("negative", x < 0), ("positive", x > 0)):
        if np.array_equal(wrong, where):
            return f"It is wrong exactly where the input is {name}. Is a mask, as a ReLU's, wrong?"
    return ""
