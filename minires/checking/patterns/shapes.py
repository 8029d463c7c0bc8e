"""A gradient whose shape is not the input's: what would make it fit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import chain, combinations, permutations
from typing import Any, NamedTuple

import numpy as np

from .evidence import axis_sets, named

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]


def explain_shape(
    gradient: Array, numeric: Array, outputs: Sequence[Shape] = (), inputs: Sequence[Shape] = ()
) -> str:
    """Say how a gradient may have come to a shape other than the input's.

    Parameters
    ----------
    gradient : array
        The gradient under test.
    numeric : array, shape S of the input
        The gradient by differences; NaN where it is not known.
    outputs : sequence of tuples of int
        The shapes of the outputs.
    inputs : sequence of tuples of int
        The shapes of all inputs, that of the one in question among them.

    Returns
    -------
    str
        What would make it fit, and what may be the cause: to be read after the two shapes. "" if
        nothing is known.

    Examples
    --------
    A bias, whose gradient was not summed over the batch:

    >>> import numpy as np
    >>> g = np.array([[1.0, 2.0], [3.0, 5.0]])
    >>> explain_shape(g, g.sum(0))
    'summed over axis 0 it would be right: is a sum over the axis that was broadcast missing?'
    """
    if gradient.shape == numeric.shape:
        return ""
    with np.errstate(invalid="ignore", over="ignore"):
        ways = [
            *_squeezed(gradient, numeric.shape),
            *_summed(gradient, numeric.shape),
            *_transposed(gradient, numeric.shape),
            *_spread(gradient, numeric.shape),
        ]
        for way in chain(ways, _cropped(gradient, numeric.shape)):
            if _equal(way.fitted, numeric):
                return f"{way.how} it would be right: {way.cause}"
    if same := [number for number, shape in enumerate(inputs) if shape == gradient.shape]:
        also = f" Or {ways[0].cause}" if ways else ""
        whose = "input" if len(same) == 1 else "inputs"
        return (
            f"that is the shape of {whose} {_listed(same)}: are the gradients returned in another"
            f" order?{also}"
        )
    if ways:
        but = ", but not the right values" if np.isfinite(numeric).any() else ""
        return f"{ways[0].how} it has the right shape{but}: {ways[0].cause}"
    hints = chain(
        _of_an_output(gradient.shape, numeric.shape, outputs),
        _larger(gradient.shape, numeric.shape),
    )
    return next(hints, "")


class _Way(NamedTuple):
    """How the gradient gets the input's shape; `fitted` is what it is then."""

    how: str
    fitted: Array
    cause: str


def _squeezed(gradient: Array, shape: Shape) -> Iterator[_Way]:
    """Axes of size 1 too many or too few."""
    if _long(gradient.shape) != _long(shape):
        return
    if gradient.ndim > len(shape):
        how, cause = "without its axes of size 1", "is keepdims=True left over from a sum?"
    else:
        how = "with axes of size 1 put in"
        cause = "is an axis of size 1 lost, by a sum without keepdims=True or by indexing?"
    yield _Way(how, gradient.reshape(shape), cause)


def _summed(gradient: Array, shape: Shape) -> Iterator[_Way]:
    """Axes too many, or longer than 1."""
    for axes in reversed(axis_sets(gradient.shape)):
        total = gradient.sum(axes)
        if _long(total.shape) == _long(shape):
            axis = "the axis that was" if len(axes) == 1 else "the axes that were"
            cause = f"is a sum over {axis} broadcast missing?"
            yield _Way(f"summed over {named(axes)}", total.reshape(shape), cause)


def _transposed(gradient: Array, shape: Shape) -> Iterator[_Way]:
    """The input's axes in another order."""
    if gradient.ndim != len(shape) or sorted(gradient.shape) != sorted(shape):
        return
    if gradient.ndim == 2:
        cause = "is a transpose missing, or are factors swapped?"
        yield _Way("transposed", gradient.T, cause)
        return
    for order in permutations(range(gradient.ndim)):
        turned = gradient.transpose(order)
        if turned.shape == shape:
            yield _Way(f"with its axes in the order {order}", turned, "is a transpose missing?")


def _spread(gradient: Array, shape: Shape) -> Iterator[_Way]:
    """Summed over too much: the gradient would have to be broadcast, which hides the mistake."""
    size = math.prod(shape)
    if gradient.size == size:
        cause = "is a reshape back to the input's shape missing?"
        yield _Way("reshaped", gradient.reshape(shape), cause)
    elif gradient.size < size:
        try:
            wide = np.broadcast_to(gradient, shape)
        except ValueError:
            return
        how = "broadcast" if gradient.size > 1 else "broadcast from its one number"
        cause = "is it summed over axes that should be kept, or reduced too early?"
        yield _Way(how, wide, cause)


def _cropped(gradient: Array, shape: Shape) -> Iterator[_Way]:
    """Padding that is still there: as much at both ends of some axes."""
    if borders := _borders(gradient.shape, shape):
        inside = tuple(slice(p, p + size) for p, size in zip(borders, shape, strict=True))
        cause = "is the padding not taken off again?"
        yield _Way(f"without a border of {_along(borders)}", gradient[inside], cause)


def _larger(found: Shape, shape: Shape) -> Iterator[str]:
    borders = _borders(found, shape)
    # More padding than image is rather a mistake of another kind.
    if borders and all(2 * p < size for p, size in zip(borders, shape, strict=True)):
        yield f"larger by {_along([2 * p for p in borders])}: is the padding not taken off?"


def _borders(found: Shape, shape: Shape) -> list[int]:
    """Return how wide a border is too much along each axis; nothing if none would do."""
    if len(found) != len(shape):
        return []
    more = [a - b for a, b in zip(found, shape, strict=True)]
    return [] if any(extra < 0 or extra % 2 for extra in more) else [extra // 2 for extra in more]


def _along(amounts: Sequence[int]) -> str:
    """Return "1 along axes 2 and 3", or "1 along axis 2 and 2 along axis 3"."""
    parts = []
    for amount in sorted(set(amounts) - {0}):
        axes = [axis for axis, value in enumerate(amounts) if value == amount]
        parts.append(f"{amount} along {named(axes)}")
    return " and ".join(parts)


def _of_an_output(found: Shape, shape: Shape, outputs: Sequence[Shape]) -> Iterator[str]:
    """An output's shape, or some of its axes where others are those of the input."""
    for number, output in enumerate(outputs):
        whose = "the output" if len(outputs) == 1 else f"output {number}"
        if found == output:
            yield f"that is the shape of {whose}: is the incoming gradient passed on as it is?"
            continue
        if not _axes_of(output, _long(shape)):
            continue
        for axes in _axes_of(output, _long(found))[:1]:
            lengths = [output[axis] for axis in axes]
            verb = "is the length" if len(axes) == 1 else "are the lengths"
            yield (
                f"{_listed(lengths)} {verb} of {named(axes)} of {whose}: is the sum taken over the"
                " wrong axes?"
            )


def _axes_of(output: Shape, lengths: Shape) -> list[Shape]:
    """Return the axes of an output that have these lengths, in this order."""
    return [
        axes
        for axes in combinations(range(len(output)), len(lengths))
        if lengths and tuple(output[axis] for axis in axes) == lengths
    ]


def _long(shape: Shape) -> Shape:
    return tuple(size for size in shape if size != 1)


def _listed(numbers: Sequence[int]) -> str:
    return " and ".join(filter(None, [", ".join(map(str, numbers[:-1])), str(numbers[-1])]))


def _equal(candidate: Array, numeric: Array) -> bool:
    known = np.isfinite(numeric)
    if not known.any():
        return False
    scale = float(np.abs(numeric[known]).max())
    return bool((np.abs(candidate - numeric)[known] <= 1e-6 * scale).all()) and scale > 0
