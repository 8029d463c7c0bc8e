"""A gradient whose shape is not the input's: what would make it fit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .evidence import axis_sets, named

Array = np.ndarray[Any, Any]


def explain_shape(gradient: Array, numeric: Array) -> str:
    """Say how a gradient may have come to a shape other than the input's.

    Parameters
    ----------
    gradient : array
        The gradient under test.
    numeric : array, shape S of the input
        The gradient by differences; NaN where it is not known.

    Returns
    -------
    str
        What shapes were found, and what may be the cause.

    Examples
    --------
    A bias, whose gradient was not summed over the batch:

    >>> import numpy as np
    >>> g = np.array([[1.0, 2.0], [3.0, 5.0]])
    >>> explain_shape(g, g.sum(0))  # doctest: +ELLIPSIS
    "The gradient has shape (2, 2), the input (2,). Summed over axis 0 it has the input's shape..."
    """
    found = f"The gradient has shape {gradient.shape}, the input {numeric.shape}."
    if gradient.shape == numeric.shape:
        return ""
    ways = [
        *_squeezed(gradient, numeric.shape),
        *_summed(gradient, numeric.shape),
        *_transposed(gradient, numeric.shape),
        *_spread(gradient, numeric.shape),
    ]
    if not ways:
        return f"{found} A gradient has exactly the shape of its input."
    right = [way for way in ways if _equal(way[1], numeric)]
    how, _, cause = (right or ways)[0]
    ending = ", and is right" if right else ""
    if not right and np.isfinite(numeric).any():
        ending = ", but is not right then either"
    return f"{found} {how} it has the input's shape{ending}. {cause}"


Way = tuple[str, Array, str]


def _squeezed(gradient: Array, shape: tuple[int, ...]) -> list[Way]:
    """Axes of size 1 too many or too few."""
    if tuple(n for n in gradient.shape if n > 1) != tuple(n for n in shape if n > 1):
        return []
    cause = (
        "Is keepdims=True left over from a sum?"
        if gradient.ndim > len(shape)
        else "Is an axis of size 1 lost, by a sum without keepdims=True or by indexing?"
    )
    few = (
        "Without its axes of size 1" if gradient.ndim > len(shape) else "With axes of size 1 put in"
    )
    return [(few, gradient.reshape(shape), cause)]


def _summed(gradient: Array, shape: tuple[int, ...]) -> list[Way]:
    ways = []
    for axes in reversed(axis_sets(gradient.shape)):
        for keep in (False, True):
            total = gradient.sum(axes, keepdims=keep)
            extra = tuple(n for n in total.shape if n > 1) == tuple(n for n in shape if n > 1)
            if total.shape == shape or (not keep and extra):
                axis = "the axis that was" if len(axes) == 1 else "the axes that were"
                ways.append(
                    (
                        f"Summed over {named(axes)}",
                        total.reshape(shape),
                        f"Is a sum over {axis} broadcast missing?",
                    )
                )
                break
    return ways


def _transposed(gradient: Array, shape: tuple[int, ...]) -> list[Way]:
    """The input's axes in another order."""
    if gradient.ndim != len(shape) or sorted(gradient.shape) != sorted(shape):
        return []
    if gradient.ndim == 2:
        return [("Transposed", gradient.T, "Is a transpose missing, or are factors swapped?")]
    from itertools import permutations

    return [
        (
            f"With its axes in the order {order}",
            gradient.transpose(order),
            "Is a transpose missing?",
        )
        for order in permutations(range(gradient.ndim))
        if gradient.transpose(order).shape == shape
    ]


def _spread(gradient: Array, shape: tuple[int, ...]) -> list[Way]:
    """Summed over too much: the gradient would have to be broadcast, which hides the mistake."""
    ways: list[Way] = []
    size = math.prod(shape)
    if gradient.size == size:
        cause = "Is a reshape back to the input's shape missing?"
        ways.append(("Reshaped", gradient.reshape(shape), cause))
    elif gradient.size < size:
        try:
            wide = np.broadcast_to(gradient, shape)
        except ValueError:
            return ways
        what = "It is a single number; broadcast" if gradient.size == 1 else "Broadcast"
        cause = "Is it summed over axes that should be kept, or reduced too early?"
        ways.append((what, wide, cause))
    return ways


def _equal(candidate: Array, numeric: Array) -> bool:
    known = np.isfinite(numeric)
    if not known.any():
        return False
    scale = float(np.abs(numeric[known]).max())
    return bool((np.abs(candidate - numeric)[known] <= 1e-6 * scale).all()) and scale > 0
