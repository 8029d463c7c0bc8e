"""Attaching operators and methods to Tensor.

`minires.autograd.methods` declares them for the type checker and the reader; here each gets the op
that it calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minires.autograd import Arithmetic, Op, Tensor, set_arithmetic

from . import (
    activations,
    arithmetic,
    broadcasting,
    creation,
    elementary,
    indexing,
    linalg,
    reductions,
    selection,
    shapes,
)


def _is_operand(value: Any) -> bool:
    return isinstance(value, (bool, int, float)) or hasattr(value, "dtype")


def _operator(function: Callable[..., Tensor]) -> Callable[[Tensor, Any], Any]:
    compute = function.of_two if isinstance(function, Op) else function

    def operator(self: Tensor, other: Any) -> Any:
        if isinstance(other, Tensor) or _is_operand(other):
            return compute(self, other)
        return NotImplemented

    return operator


def _reflected(function: Callable[..., Tensor]) -> Callable[[Tensor, Any], Any]:
    def operator(self: Tensor, other: Any) -> Any:
        # Two Tensors never come here: the left one's own operator answers.
        return function(other, self) if _is_operand(other) else NotImplemented

    return operator


def _unary(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def method(self: Tensor, *arguments: Any, **options: Any) -> Tensor:
        return function(self, *arguments, **options)

    return method


OPERATORS: dict[str, Callable[..., Any]] = {
    "__add__": _operator(arithmetic.add),
    "__radd__": _reflected(arithmetic.add),
    "__sub__": _operator(arithmetic.sub),
    "__rsub__": _reflected(arithmetic.sub),
    "__mul__": _operator(arithmetic.mul),
    "__rmul__": _reflected(arithmetic.mul),
    "__truediv__": _operator(arithmetic.div),
    "__rtruediv__": _reflected(arithmetic.div),
    "__floordiv__": _operator(arithmetic.floor_div),
    "__rfloordiv__": _reflected(arithmetic.floor_div),
    "__mod__": _operator(arithmetic.remainder),
    "__rmod__": _reflected(arithmetic.remainder),
    "__pow__": _operator(arithmetic.pow),
    "__rpow__": _reflected(arithmetic.pow),
    "__matmul__": _operator(linalg.matmul),
    "__rmatmul__": _reflected(linalg.matmul),
    "__eq__": _operator(arithmetic.equal),
    "__ne__": _operator(arithmetic.not_equal),
    "__lt__": _operator(arithmetic.less),
    "__le__": _operator(arithmetic.less_equal),
    "__gt__": _operator(arithmetic.greater),
    "__ge__": _operator(arithmetic.greater_equal),
    "__and__": _operator(arithmetic.bitwise_and),
    "__rand__": _reflected(arithmetic.bitwise_and),
    "__or__": _operator(arithmetic.bitwise_or),
    "__ror__": _reflected(arithmetic.bitwise_or),
    "__xor__": _operator(arithmetic.bitwise_xor),
    "__rxor__": _reflected(arithmetic.bitwise_xor),
    "__invert__": _unary(arithmetic.bitwise_not),
    "__neg__": _unary(arithmetic.neg),
    "__abs__": _unary(elementary.abs),
    "__getitem__": indexing.getitem,
}

METHODS: dict[str, Callable[..., Any]] = {
    "abs": elementary.abs,
    "all": reductions.all,
    "amax": selection.amax,
    "amin": selection.amin,
    "any": reductions.any,
    "argmax": selection.argmax,
    "argmin": selection.argmin,
    "clamp": elementary.clip,
    "clip": elementary.clip,
    "clone": shapes.clone,
    "cpu": creation.cpu,
    "cuda": creation.cuda,
    "exp": elementary.exp,
    "dim": shapes.dim,
    "double": creation.double,
    "expand": broadcasting.expand,
    "flatten": shapes.flatten,
    "flip": shapes.flip,
    "float": creation.float_,
    "gather": selection.gather,
    "isfinite": elementary.isfinite,
    "isnan": elementary.isnan,
    "log": elementary.log,
    "log_softmax": activations.log_softmax,
    "logsumexp": reductions.logsumexp,
    "matmul": linalg.matmul,
    "max": selection.max,
    "mean": reductions.mean,
    "min": selection.min,
    "numel": shapes.numel,
    "permute": shapes.permute,
    "pow": arithmetic.pow,
    "relu": activations.relu,
    "reshape": shapes.reshape,
    "sigmoid": activations.sigmoid,
    "size": shapes.size,
    "softmax": activations.softmax,
    "sqrt": elementary.sqrt,
    "squeeze": shapes.squeeze,
    "std": reductions.std,
    "sum": broadcasting.sum,
    "tanh": elementary.tanh,
    "to": creation.to,
    "transpose": shapes.transpose,
    "unsqueeze": shapes.unsqueeze,
    "var": reductions.var,
    "view": shapes.reshape,
}


def attach() -> None:
    """Give Tensor its operators and methods, and the engine its addition."""
    for name, function in (OPERATORS | METHODS).items():
        method = function if name in OPERATORS else _unary(function)
        method.__doc__ = function.__doc__
        setattr(Tensor, name, method)
    Tensor.T = property(  # type: ignore[assignment]
        lambda self: shapes.permute(self, *reversed(range(self.ndim))), doc="All axes reversed."
    )
    set_arithmetic(
        Arithmetic(cast=shapes.cast, clone=shapes.clone, unbroadcast=broadcasting.unbroadcast)
    )
