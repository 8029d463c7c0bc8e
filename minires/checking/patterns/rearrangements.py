"""Right values at wrong places: transposed, reversed, shifted, reshaped in the wrong order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Any

import numpy as np

from .evidence import Evidence, Guess, axis_sets, named

Array = np.ndarray[Any, Any]

# 23 orders of four axes; more axes have too many orders to try.
_MOST_AXES = 4
# How far entries may have been moved.
_STEPS = (1, -1, 2, -2, 3, -3)


def rearranged(evidence: Evidence) -> Iterator[Guess]:
    """Guess that the analytic gradient is the numeric one with its entries at other places."""
    for array, how, cause in rearrangements(evidence.numeric, edge=np.nan):
        yield Guess(
            f"The analytic gradient is the right one, {how}. {cause}",
            evidence.everywhere(array),
        )
    for axes in [*([axis] for axis in range(evidence.numeric.ndim)), _last_two(evidence)]:
        for step in _STEPS[2:] if len(axes) == 1 else _STEPS:
            if axes and all(evidence.numeric.shape[axis] > abs(step) for axis in axes):
                shifted, how = _shifted(evidence.numeric, axes, step, np.nan)
                yield Guess(
                    f"The analytic gradient is the right one, {how}. Is padding taken off at one"
                    " end only, or an offset wrong?",
                    evidence.everywhere(shifted),
                    least=4,
                )


def _last_two(evidence: Evidence) -> list[int]:
    axes = evidence.numeric.ndim
    return [axes - 2, axes - 1] if axes >= 2 else []


def rearrangements(array: Array, edge: float) -> Iterator[tuple[Array, str, str]]:
    """Yield `array` with its entries at other places, how that is called, and what may cause it.

    Parameters
    ----------
    array : array, shape S
    edge : float
        What a shift moves in.
    """
    shape = array.shape
    if array.ndim <= _MOST_AXES:
        yield from _transposed(array)
        for axes in reversed(axis_sets(shape)):
            yield np.flip(array, axes), *_reversed(axes, array.ndim)
    for axis, size in enumerate(shape):
        for step in (1, -1):
            if size > 1:
                yield *_shifted(array, [axis], step, edge), "Is an index off by one?"


def _shifted(array: Array, axes: Sequence[int], step: int, edge: float) -> tuple[Array, str]:
    """Move the entries along some axes, and say so."""
    shifted = np.roll(array, [step] * len(axes), axes)
    for axis in axes:
        end = slice(0, step) if step > 0 else slice(step, None)
        shifted[(*[slice(None)] * axis, end)] = edge
    far = f"{'one' if abs(step) == 1 else abs(step)} too {'high' if step > 0 else 'low'}"
    return shifted, f"but every entry stands at an index that is {far} along {named(axes)}"


def _transposed(array: Array) -> Iterator[tuple[Array, str, str]]:
    natural = tuple(range(array.ndim))
    for order in permutations(natural):
        turned = array.transpose(order)
        moved = [axis for axis in natural if order[axis] != axis]
        if not moved:
            continue
        if turned.shape == array.shape:
            swap = len(moved) == 2
            how = f"{named(moved)} swapped" if swap else f"axes in the order {order}"
            yield turned, f"but transposed ({how})", "Is a transpose missing, or too many?"
        else:
            yield (
                turned.reshape(array.shape),
                f"but its numbers are laid out as if the axes were in the order {order}",
                "Is there a reshape where the axes must be transposed first?",
            )


def _reversed(axes: tuple[int, ...], ndim: int) -> tuple[str, str]:
    if ndim >= 2 and axes == (ndim - 2, ndim - 1):
        return f"but turned by 180° ({named(axes)} reversed)", "Is a kernel flipped, or not?"
    cause = "Is the batch taken in the other order?" if axes == (0,) else "Is an index reversed?"
    return f"but reversed along {named(axes)}", cause


def same_values(evidence: Evidence) -> str:
    """Say so if the right values stand at other places, in an order without a name."""
    a, n = np.sort(evidence.a), np.sort(evidence.n)
    whole = len(n) == evidence.numeric.size >= 4
    # Where values lie close together, some are near the wrong gradient's by chance.
    apart = whole and np.median(np.diff(n)) > 100 * evidence.tolerance
    if apart and evidence.leaves(a - n, evidence.difference[evidence.w]):
        return (
            "The analytic gradient has the right values, but at other places. Is an index, or the"
            " order of axes in a reshape, wrong?"
        )
    return ""
