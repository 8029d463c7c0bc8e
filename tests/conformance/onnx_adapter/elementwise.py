"""Operators that work on each value by itself."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import onnx

import minires as mr
from minires import ops

from .node import Adapter, Node, plain

Binary = Callable[[mr.Tensor, mr.Tensor], mr.Tensor]


def _many(function: Binary) -> Adapter:
    return lambda node, *inputs: functools.reduce(function, inputs)


def _mean(node: Node, *inputs: mr.Tensor) -> mr.Tensor:
    return functools.reduce(ops.add, inputs) / len(inputs)


def _truncating(x: mr.Tensor, y: mr.Tensor, divide: Binary) -> mr.Tensor:
    """Divide magnitudes, then set signs: ONNX rounds towards zero, where floor_div rounds down."""
    return divide(ops.abs(x), ops.abs(y))


def _div(node: Node, x: mr.Tensor, y: mr.Tensor) -> mr.Tensor:
    if x.dtype.kind == "f":
        return x / y
    return _truncating(x, y, ops.floor_div) * ops.sign(x) * ops.sign(y)


def _mod(node: Node, x: mr.Tensor, y: mr.Tensor) -> mr.Tensor:
    """Like Python's %; with fmod like C's, whose result has the sign of the dividend."""
    return _truncating(x, y, ops.remainder) * ops.sign(x) if node["fmod"] else x % y


def _pow(node: Node, x: mr.Tensor, y: mr.Tensor) -> mr.Tensor:
    return ops.cast(ops.pow(x, y), x.dtype)


def _clip(node: Node, x: mr.Tensor, low: Any = None, high: Any = None) -> mr.Tensor:
    limits = [None if limit is None else limit.item() for limit in (low, high)]
    return x if limits == [None, None] else ops.clip(x, *limits)


def _isinf(node: Node, x: mr.Tensor) -> mr.Tensor:
    positive = ops.equal(x, math.inf) & bool(node["detect_positive"])
    return positive | (ops.equal(x, -math.inf) & bool(node["detect_negative"]))


def _cast(node: Node, x: mr.Tensor) -> mr.Tensor:
    return ops.cast(x, onnx.helper.tensor_dtype_to_np_dtype(node["to"]))


def _elu(x: mr.Tensor, alpha: float) -> mr.Tensor:
    # exp of what is positive would overflow, and is not wanted.
    return ops.where(x > 0, x, alpha * (ops.exp(ops.minimum(x, 0.0)) - 1))


def _selu(node: Node, x: mr.Tensor) -> mr.Tensor:
    return node["gamma"] * _elu(x, node["alpha"])


def _celu(node: Node, x: mr.Tensor) -> mr.Tensor:
    return _elu(x / node["alpha"], 1.0) * node["alpha"]


def _softplus(x: mr.Tensor) -> mr.Tensor:
    return ops.logsumexp(ops.stack([x, ops.zeros_like(x)]), 0)


def _hard_sigmoid(x: mr.Tensor, alpha: float, beta: float) -> mr.Tensor:
    return ops.clip(alpha * x + beta, 0.0, 1.0)


def _shrink(node: Node, x: mr.Tensor) -> mr.Tensor:
    bias, limit = node["bias"], node["lambd"]
    return ops.where(x < -limit, x + bias, ops.where(x > limit, x - bias, 0 * x))


def _swiglu(node: Node, gate: mr.Tensor, x: mr.Tensor) -> mr.Tensor:
    return gate * ops.sigmoid(node["alpha"] * gate) * x


def _hyperbolic(sign: float) -> Adapter:
    return plain(lambda x: (ops.exp(x) + sign * ops.exp(-x)) / 2)


OPERATORS: dict[str, Adapter] = {
    "Abs": plain(ops.abs),
    "Acosh": plain(lambda x: ops.log(x + ops.sqrt(x * x - 1))),
    "Add": plain(ops.add),
    "And": plain(ops.logical_and),
    "Asinh": plain(lambda x: ops.sign(x) * ops.log(ops.abs(x) + ops.sqrt(x * x + 1))),
    "Atanh": plain(lambda x: ops.log((1 + x) / (1 - x)) / 2),
    "BitwiseAnd": plain(ops.bitwise_and),
    "BitwiseNot": plain(ops.bitwise_not),
    "BitwiseOr": plain(ops.bitwise_or),
    "BitwiseXor": plain(ops.bitwise_xor),
    "Cast": _cast,
    "CastLike": lambda node, x, like: ops.cast(x, like.dtype),
    "Ceil": plain(lambda x: -ops.floor_div(-x, 1)),
    "Celu": _celu,
    "Clip": _clip,
    "Cos": plain(ops.cos),
    "Cosh": _hyperbolic(1),
    "Div": _div,
    "Elu": lambda node, x: _elu(x, node["alpha"]),
    "Equal": plain(ops.equal),
    "Erf": plain(ops.erf),
    "Exp": plain(ops.exp),
    "Floor": plain(lambda x: ops.floor_div(x, 1)),
    "Gelu": lambda node, x: ops.gelu(x, node["approximate"]),
    "Greater": plain(ops.greater),
    "GreaterOrEqual": plain(ops.greater_equal),
    "HardSigmoid": lambda node, x: _hard_sigmoid(x, node["alpha"], node["beta"]),
    "HardSwish": plain(lambda x: x * _hard_sigmoid(x, 1 / 6, 0.5)),
    "Identity": plain(ops.clone),
    "IsInf": _isinf,
    "IsNaN": plain(ops.isnan),
    "LeakyRelu": lambda node, x: ops.leaky_relu(x, node["alpha"]),
    "Less": plain(ops.less),
    "LessOrEqual": plain(ops.less_equal),
    "Log": plain(ops.log),
    "Max": _many(ops.maximum),
    "Mean": _mean,
    "Min": _many(ops.minimum),
    "Mish": plain(lambda x: x * ops.tanh(_softplus(x))),
    "Mod": _mod,
    "Mul": plain(ops.mul),
    "Neg": plain(ops.neg),
    "Not": plain(ops.logical_not),
    "Or": plain(ops.logical_or),
    "PRelu": plain(lambda x, slope: ops.where(x < 0, slope * x, x)),
    "Pow": _pow,
    "Reciprocal": plain(lambda x: 1 / x),
    "Relu": plain(ops.relu),
    "Selu": _selu,
    "Shrink": _shrink,
    "Sigmoid": plain(ops.sigmoid),
    "Sign": plain(ops.sign),
    "Sin": plain(ops.sin),
    "Sinh": _hyperbolic(-1),
    "Softplus": plain(_softplus),
    "Softsign": plain(lambda x: x / (1 + ops.abs(x))),
    "Sqrt": plain(ops.sqrt),
    "Sub": plain(ops.sub),
    "Sum": _many(ops.add),
    "SwiGLU": _swiglu,
    "Swish": lambda node, x: x * ops.sigmoid(node["alpha"] * x),
    "Tan": plain(lambda x: ops.sin(x) / ops.cos(x)),
    "Tanh": plain(ops.tanh),
    "ThresholdedRelu": lambda node, x: ops.where(x > node["alpha"], x, 0 * x),
    "Where": plain(ops.where),
    "Xor": plain(ops.bitwise_xor),
}
