"""Operators that join the values along axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import minires as mr
from minires import ops

from .node import Adapter, Node, integers

Reduction = Callable[..., mr.Tensor]


def _axes(node: Node, x: mr.Tensor, axes: mr.Tensor | None) -> tuple[int, ...]:
    """Where to reduce: an input in newer operator sets, an attribute in older ones."""
    given = integers(axes) if axes is not None else node["axes"]
    if given:
        return tuple(given)
    return () if node["noop_with_empty_axes"] else tuple(range(x.ndim))


def _reduce(reduction: Reduction, before: Any = None, after: Any = None) -> Adapter:
    """Apply `before` to each value, reduce, and apply `after` to the results."""

    def adapter(node: Node, x: mr.Tensor, axes: mr.Tensor | None = None) -> mr.Tensor:
        along = _axes(node, x, axes)
        result = reduction(before(x) if before else x, along, keepdim=bool(node["keepdims"]))
        # minires sums integers as int64, as PyTorch does; ONNX keeps their dtype.
        return ops.cast(after(result) if after else result, x.dtype)

    return adapter


def _extremum(position: Reduction) -> Adapter:
    def adapter(node: Node, x: mr.Tensor) -> mr.Tensor:
        axis, keep = node["axis"], bool(node["keepdims"])
        if not node["select_last_index"]:
            return position(x, axis, keep)
        return x.shape[axis] - 1 - position(ops.flip(x, axis), axis, keep)

    return adapter


def _softmax(function: Reduction) -> Adapter:
    return lambda node, x: function(x, node["axis"])


def _hardmax(node: Node, x: mr.Tensor) -> mr.Tensor:
    lengths = [1] * x.ndim
    lengths[node["axis"]] = -1
    positions = ops.reshape(ops.arange(x.shape[node["axis"]]), *lengths)
    winner = ops.equal(positions, ops.argmax(x, node["axis"], keepdim=True))
    return ops.cast(winner, x.dtype)


def _square(x: mr.Tensor) -> mr.Tensor:
    return x * x


OPERATORS: dict[str, Adapter] = {
    "ArgMax": _extremum(ops.argmax),
    "ArgMin": _extremum(ops.argmin),
    "Hardmax": _hardmax,
    "LogSoftmax": _softmax(ops.log_softmax),
    "ReduceL1": _reduce(ops.sum, before=ops.abs),
    "ReduceL2": _reduce(ops.sum, before=_square, after=ops.sqrt),
    "ReduceLogSum": _reduce(ops.sum, after=ops.log),
    "ReduceLogSumExp": _reduce(ops.logsumexp),
    "ReduceMax": _reduce(ops.amax),
    "ReduceMean": _reduce(ops.mean),
    "ReduceMin": _reduce(ops.amin),
    "ReduceSum": _reduce(ops.sum),
    "ReduceSumSquare": _reduce(ops.sum, before=_square),
    "Softmax": _softmax(ops.softmax),
}
