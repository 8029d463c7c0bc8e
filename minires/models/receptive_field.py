"""Which part of the image each value depends on: its receptive field.

Along one axis, position i of a value sees the pixels from first + i*stride to last + i*stride,
those of the padding included. A window makes that wider; where several values meet, each end is
that of the one that reaches farther (Araujo et al. 2019, doi 10.23915/distill.00021).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from .counting import REDUCTIONS, Shape, Step

Number = int | Fraction


class Span(NamedTuple):
    """What the positions along one axis see, in pixels of the image.

    Attributes
    ----------
    first, last : int, Fraction or float
        What position 0 sees; infinite where each position sees the whole axis.
    stride : int or Fraction
        From what one position sees to what the next one does.
    """

    first: Number | float = 0
    last: Number | float = 0
    stride: Number = 1

    @property
    def size(self) -> Number | float:
        """How many pixels a position sees."""
        return self.last - self.first + 1

    def moved(self, start: int, wider: int = 0, step: Number = 1) -> Span:
        """Begin at the position `start`, see as many further ones, and go on in steps."""
        first = self.first + start * self.stride
        return Span(first, first + self.size - 1 + wider * self.stride, _whole(self.stride * step))


EVERYTHING = Span(-math.inf, math.inf, 0)
Field = tuple[Span, Span]

_WINDOWS = "conv2d", "max_pool2d", "avg_pool2d", "window_sums"
# Ops that may bring any place to any other.
_MIXTURES = (
    *("linear", "matmul", "einsum", "flip", "im2col", "col2im"),
    *("gather", "scatter_add", "putitem"),
)
# Ops after which rows and columns are no longer where they were, but see what they saw.
_ARRANGEMENTS = "reshape", "permute"


def fields(steps: Sequence[Step]) -> list[Field | None]:
    """Return the receptive field of each step's output: of its rows and of its columns.

    A gate, which mostly sees all of the image, is left aside.

    Parameters
    ----------
    steps : sequence of Step
        The first is the image.

    Returns
    -------
    list of (Span, Span) or None
        None where the image has no part, or an op that was not recorded does not tell which.
    """
    found: list[Field | None] = [(Span(), Span())]
    untold: set[int] = set()
    for number, step in enumerate(steps[1:], 1):
        before = [(s, field) for s in step.passed_on if (field := found[s]) is not None]
        if (before and not step.recorded) or not untold.isdisjoint(step.passed_on):
            untold.add(number)
            before = []
        if not before:
            found.append(None)
            continue
        shape = steps[before[0][0]].output
        rows, columns = (_joined(spans) for spans in zip(*(f for _, f in before), strict=True))
        found.append((_seen(step, shape, rows, -2), _seen(step, shape, columns, -1)))
    return found


def _joined(spans: Sequence[Span]) -> Span:
    firsts, lasts, strides = zip(*spans, strict=True)
    return Span(min(firsts), max(lasts), max(strides))


def _seen(step: Step, shape: Shape, span: Span, axis: int) -> Span:
    """Return what a step's output sees along an axis, -2 or -1, if its input sees `span`."""
    constants, place = step.constants, len(shape) + axis
    if span.first == -math.inf or step.op in _MIXTURES:
        return EVERYTHING
    if step.op in REDUCTIONS:
        dim = constants["dim"]
        return EVERYTHING if place in (dim if isinstance(dim, tuple) else (dim,)) else span
    if step.op in (*_WINDOWS, "conv_transpose2d"):
        window = constants["window"]
        (before, _), stride = window.padding[axis], window.stride[axis]
        reach = window.extent[axis] - 1
        if step.op in _WINDOWS:
            return span.moved(-before, reach, stride)
        # Output i is made of inputs (i + before - reach) / stride to (i + before) / stride.
        return span.moved(-((reach - before) // stride), reach // stride, Fraction(1, stride))
    if step.op in ("pick", "mix"):
        return _resized(step, span, place)
    if step.op == "pad":
        return span.moved(-constants["widths"][place][0])
    if step.op == "getitem":
        return _sliced(constants["index"], shape, span, place)
    if step.op in _ARRANGEMENTS or len(step.output) != len(shape) or place < 0:
        return span
    return span if step.output[axis] == shape[axis] else EVERYTHING


def _resized(step: Step, span: Span, place: int) -> Span:
    """Return what is seen by an axis of another length: values of the old one, or mixtures of them.

    A shorter axis has means over parts, which overlap where they do not go up; a longer one is
    linear between two values.
    """
    before, after = step.shapes[0][place], step.output[place]
    if step.constants["dim"] != place or before == after:
        return span
    parts = -(-before // after) + (before % after > 0) if before > after else 2
    return span.moved(0, parts - 1 if step.op == "mix" else 0, Fraction(before, after))


def _sliced(index: object, shape: Shape, span: Span, place: int) -> Span:
    """Return what is seen by what an index takes along the axis at `place`."""
    parts = index if isinstance(index, tuple) else (index,)
    if ... in parts:
        at = parts.index(...)
        left = (slice(None),) * (len(shape) - len(parts) + 1)
        parts = (*parts[:at], *left, *parts[at + 1 :])
    part = parts[place] if place < len(parts) else slice(None)
    if not all(isinstance(each, slice) for each in parts):
        return EVERYTHING
    start, _, step = part.indices(shape[place])
    return span.moved(start, 0, step) if step > 0 else EVERYTHING


def _whole(number: Number) -> Number:
    """Return a fraction that is a whole number as an int."""
    return number.numerator if number.denominator == 1 else number
