"""Activations: masks, and derivatives in terms of the input or of the output."""

from __future__ import annotations

from typing import Any

import numpy as np

from .solution import Array, Solution, at

SHAPES = (at((4, 6)), at((24,)), at((2, 3, 2, 2)))
_C = np.sqrt(2 / np.pi)


def relu(x: Array) -> Array:
    """Return max(x, 0)."""
    return np.maximum(x, 0)


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x))."""
    return np.asarray(1 / (1 + np.exp(-x)))


def leaky(x: Array, *, slope: float) -> Array:
    """Return x, or slope times x where x is negative."""
    return np.where(x > 0, x, slope * x)


def gelu(x: Array) -> Array:
    """Return GELU in its form with tanh."""
    return np.asarray(0.5 * x * (1 + np.tanh(_C * (x + 0.044715 * x**3))))


def gelu_vjp(g: Array, x: Array, inner: float = 0.134145) -> Array:
    """Return the gradient; `inner` is 3 times the cubic term's coefficient."""
    t = np.tanh(_C * (x + 0.044715 * x**3))
    return np.asarray(g * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * _C * (1 + inner * x**2)))


def kept(x: Array) -> Array:
    """Return the constant mask of a dropout that keeps two in three."""
    return np.asarray(np.arange(x.size) % 3 != 0).reshape(x.shape)


def dropout(x: Array) -> Array:
    """Return x where it is kept, scaled so that the mean stays."""
    return np.asarray(x * kept(x) * 1.5)


def relu_and_square(x: Array) -> Array:
    """Return relu(x) + x^2, two uses of one activation."""
    return np.asarray(relu(x) + x * x)


def _prelu_vjp(g: Array, x: Array, slope: Array) -> tuple[Array, Array]:
    return g * np.where(x > 0, 1, slope), (g * np.minimum(x, 0)).sum(0)


RELU = Solution("", "relu", "mask of the input", relu, lambda g, x: g * (x > 0), SHAPES)
RELU_BIAS = Solution(
    "",
    "relu plus bias",
    "mask of the input",
    lambda x, b: relu(x) + b,
    lambda g, x, b: (g * (x > 0), g.sum(0)),
    (at((4, 5), (5,)), at((6, 3), (3,))),
)
RELU_SQUARE = Solution(
    "",
    "relu plus square",
    "mask of the input",
    relu_and_square,
    lambda g, x: g * ((x > 0) + 2 * x),
    SHAPES,
)
LEAKY = Solution(
    "",
    "leaky relu",
    "by where",
    leaky,
    lambda g, x, *, slope: np.where(x > 0, g, slope * g),
    (at((4, 5), slope=0.01), at((24,), slope=0.2)),
)
PRELU = Solution(
    "",
    "prelu",
    "by where",
    lambda x, slope: np.where(x > 0, x, slope * x),
    _prelu_vjp,
    (at((6, 3), (3,)), at((5, 4), (4,))),
)
SIGMOID = Solution(
    "",
    "sigmoid",
    "from the output",
    sigmoid,
    lambda g, x: g * sigmoid(x) * (1 - sigmoid(x)),
    SHAPES,
)
TANH = Solution(
    "", "tanh", "from the output", np.tanh, lambda g, x: g * (1 - np.tanh(x) ** 2), SHAPES
)
SILU = Solution(
    "",
    "silu",
    "closed form",
    lambda x: x * sigmoid(x),
    lambda g, x: g * sigmoid(x) * (1 + x * (1 - sigmoid(x))),
    SHAPES,
)
GELU = Solution("", "gelu", "closed form", gelu, gelu_vjp, SHAPES)
ABSOLUTE = Solution(
    "",
    "absolute value",
    "by sign",
    lambda x: np.where(x > 0, x, -x),
    lambda g, x: g * np.sign(x),
    SHAPES,
)
CLIP = Solution(
    "",
    "clip",
    "by mask",
    lambda x: np.minimum(np.maximum(x, -0.5), 0.5),
    lambda g, x: g * (np.abs(x) < 0.5),
    SHAPES,
)
DROPOUT = Solution(
    "",
    "dropout with a given mask",
    "mask and scale",
    dropout,
    lambda g, x: g * kept(x) * 1.5,
    SHAPES,
)


def _writes_into_saved(g: Array, x: Array) -> Array:
    """Take what relu wrote over the saved x for x itself."""
    over = relu(x)
    return np.asarray(g * ((over > 0) + 2 * over))


def _forward_in_place(x: Array) -> Any:
    return np.maximum(x, 0, out=x)


RIGHT = (
    *(RELU, RELU_BIAS, RELU_SQUARE, LEAKY, PRELU, SIGMOID),
    *(TANH, SILU, GELU, ABSOLUTE, CLIP, DROPOUT),
    RELU.but("", "mask of the output", lambda g, x: np.where(relu(x) > 0, g, 0)),
    SIGMOID.but("", "from the input", lambda g, x: g * np.exp(-x) / (1 + np.exp(-x)) ** 2),
    TANH.but("", "from the input", lambda g, x: g / np.cosh(x) ** 2),
)

WRONG = (
    RELU_BIAS.but(
        "L1", "mask of a later layer's output", lambda g, x, b: (g * (relu(x) + b > 0), g.sum(0))
    ),
    RELU_SQUARE.but("L3", "in place on the saved input", _writes_into_saved),
    Solution(
        "", "relu", "writes into its input", _forward_in_place, lambda g, x: g * (x > 0), SHAPES
    ),
    RELU.but("L4", "upstream gradient ignored", lambda g, x: 1.0 * (x > 0)),
    RELU.but("", "no mask", lambda g, x: g),
    RELU.but("", "masked by the upstream gradient", lambda g, x: g * (g > 0)),
    RELU.but("", "mask turned around", lambda g, x: g * (x < 0)),
    RELU.but("", "its own values for a mask", lambda g, x: g * relu(x)),
    LEAKY.but("", "slope forgotten", lambda g, x, *, slope: g * (x > 0)),
    LEAKY.but("", "slope on the other side", lambda g, x, *, slope: np.where(x < 0, g, slope * g)),
    PRELU.but(
        "",
        "slope's gradient averaged",
        lambda g, x, slope: (_prelu_vjp(g, x, slope)[0], _prelu_vjp(g, x, slope)[1] / len(x)),
    ),
    SIGMOID.but("", "input for output", lambda g, x: g * x * (1 - x)),
    SIGMOID.but("", "y forgotten in y (1 - y)", lambda g, x: g * (1 - sigmoid(x))),
    TANH.but("", "input for output", lambda g, x: g * (1 - x**2)),
    TANH.but("", "1 - y, not 1 - y^2", lambda g, x: g * (1 - np.tanh(x))),
    SILU.but("", "one term of the product rule", lambda g, x: g * sigmoid(x)),
    GELU.but("", "inner derivative of the cubic term", lambda g, x: gelu_vjp(g, x, 0.044715)),
    ABSOLUTE.but("", "no sign", lambda g, x: g),
    CLIP.but("", "passes outside of the limits", lambda g, x: g),
    CLIP.but("", "one limit forgotten", lambda g, x: g * (x < 0.5)),
    DROPOUT.but("", "not scaled", lambda g, x: g * kept(x)),
    DROPOUT.but("", "another mask", lambda g, x: np.roll(g * kept(x) * 1.5, 1)),
)
