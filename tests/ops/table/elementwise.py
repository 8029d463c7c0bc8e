"""Rows of the ops that work element by element."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import minires as mr
from minires import nn
from minires.autograd import registry
from minires.devices.random import seeded

from .case import Case, Dice, Row

erf = np.vectorize(math.erf, otypes=[float])


def unary(run: Any, reference: Any, torch: Any, values: str = "normal") -> Row:
    """A function of one Tensor; `values` says which numbers it takes."""

    def row(dice: Dice) -> Case:
        return Case(run, (getattr(dice, values)(*dice.shape()),), reference, torch)

    return row


def binary(run: Any, reference: Any, torch: Any, first: str = "normal", second: str = "") -> Row:
    """A function of two Tensors whose shapes broadcast, or of a Tensor and a number."""

    def row(dice: Dice) -> Case:
        shapes = dice.shapes(2)
        a = getattr(dice, first)(*shapes[0])
        b = getattr(dice, second or first)(*shapes[1])
        kind = dice.choose("two Tensors", "number first", "number second")
        if kind == "number second":
            return Case(
                lambda x: run(x, 1.5),
                (a,),
                lambda x: reference(x, 1.5),
                lambda t, x: torch(t, x, t.tensor(1.5, dtype=x.dtype)),
            )
        if kind == "number first":
            return Case(
                lambda x: run(1.5, x),
                (b,),
                lambda x: reference(1.5, x),
                lambda t, x: torch(t, t.tensor(1.5, dtype=x.dtype), x),
            )
        return Case(run, (a, b), reference, torch)

    return row


def extremum(run: Any, reference: Any, torch: Any) -> Row:
    """Larger or smaller of two: the two are nowhere equal."""

    def row(dice: Dice) -> Case:
        a, b = dice.shapes(2)
        values = dice.apart(math.prod(a) + math.prod(b))
        first, second = values[: math.prod(a)], values[math.prod(a) :]
        return Case(run, (first.reshape(a), second.reshape(b)), reference, torch)

    return row


def power_of_a_number(dice: Dice) -> Case:
    exponent = dice.choose(2, 3, -1, 0.5, 0, 1)
    # Whole powers also of negative numbers.
    values = dice.normal if exponent in (0, 1, 2, 3) else dice.positive
    return Case(
        lambda x: x**exponent,
        (values(*dice.shape()),),
        lambda x: x**exponent,
        lambda t, x: x**exponent,
    )


def remainder(dice: Dice) -> Case:
    """The quotients keep away from whole numbers, where the remainder jumps."""
    a, b = dice.shapes(2)
    first = dice.rng.integers(-3, 3, a) + dice.rng.uniform(0.3, 0.7, a)
    second = dice.rng.choice([-2.0, -1.0, 1.0, 2.0], b) * dice.rng.uniform(0.98, 1.02, b)
    inputs = np.asarray(first), np.asarray(second)
    return Case(lambda x, y: x % y, inputs, np.remainder, lambda t, x, y: t.remainder(x, y))


def where(dice: Dice) -> Case:
    condition_shape, a, b = dice.shapes(3)
    condition = dice.normal(*condition_shape) > 0
    return Case(
        lambda x, y: mr.where(mr.tensor(condition, device=x.device), x, y),
        (dice.normal(*a), dice.normal(*b)),
        lambda x, y: np.where(condition, x, y),
        lambda t, x, y: t.where(t.tensor(condition), x, y),
    )


def clip(dice: Dice) -> Case:
    low, high = dice.choose((-0.501, 0.501), (None, 0.0), (0.0, None), (-0.301, None))
    return Case(
        lambda x: mr.clip(x, low, high),
        (np.asarray(np.round(dice.normal(*dice.shape()), 2) + 0.005),),
        lambda x: np.clip(x, low, high),
        lambda t, x: t.clip(x, low, high),
    )


def clip_by_tensors(dice: Dice) -> Case:
    """No two of the numbers are equal; the limits may contradict each other."""
    shapes = dice.shapes(3)
    sizes = [math.prod(shape) for shape in shapes]
    parts = np.split(dice.apart(sum(sizes)), np.cumsum(sizes)[:-1])
    inputs = tuple(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))
    return Case(
        lambda x, low, high: mr.clip(x, low, high),
        inputs,
        lambda x, low, high: np.minimum(np.maximum(x, low), high),
        # PyTorch's own clip stumbles over limits that make a number an empty Tensor.
        lambda t, x, low, high: t.minimum(t.maximum(x, low), high),
    )


def leaky_relu(dice: Dice) -> Case:
    slope = dice.choose(0.0, 0.01, 0.3)
    return Case(
        lambda x: mr.ops.leaky_relu(x, slope),
        (dice.apart(*dice.shape()),),
        lambda x: np.where(x > 0, x, slope * x),
        lambda t, x: t.nn.functional.leaky_relu(x, slope),
    )


def residual_add(dice: Dice) -> Case:
    shape = dice.shape()
    inputs = dice.normal(*shape), dice.normal(*shape)
    return Case(mr.ops.residual_add, inputs, np.add, lambda t, x, y: x + y)


def checkpoint(dice: Dice) -> Case:
    shape = dice.shape()
    return Case(
        lambda x, y: nn.checkpoint(lambda x, y: x * mr.tanh(y) + x, x, y),
        (dice.normal(*shape), dice.normal(*shape)),
        lambda x, y: x * np.tanh(y) + x,
        lambda t, x, y: x * t.tanh(y) + x,
    )


def dropout(dice: Dice) -> Case:
    """Of single values, of channels, or of samples: as many draws as there are of these."""
    p, seed = dice.choose(0.2, 0.5, 1.0), dice.number(0, 9)
    run, parts, dims = dice.choose(
        (mr.ops.dropout, None, 0),
        (mr.ops.dropout2d, 2, 2),
        (lambda x, p: mr.ops.stochastic_depth(x, p, "row"), 1, 1),
    )
    x = dice.normal(*dice.shape(dims))
    draws = x.shape if parts is None else x.shape[:parts] + (1,) * (x.ndim - parts)

    def seeded_run(x: mr.Tensor) -> mr.Tensor:
        with seeded(seed):
            return run(x, p)

    def reference(x: np.ndarray) -> np.ndarray:
        with seeded(seed):
            kept = mr.rand(*draws).numpy() >= np.float32(p)
        return np.where(kept, x / (1 - p if p < 1 else 1), 0) if p < 1 else 0 * x

    return Case(seeded_run, (x,), reference)


def relu6(dice: Dice) -> Case:
    # From -9 to 9, and nowhere within 0.005 of a kink.
    x = np.asarray(np.round(3 * dice.normal(*dice.shape()), 2) + 0.005)
    return Case(
        mr.ops.relu6,
        (x,),
        lambda x: np.minimum(np.maximum(x, 0), 6),
        lambda t, x: t.nn.functional.relu6(x),
    )


def cast(dice: Dice) -> Case:
    # Eighths are exact in float32, and so is their central difference.
    x = np.asarray(dice.rng.integers(-16, 16, dice.shape()) / 8)
    return Case(
        lambda x: mr.ops.cast(x, "float32"),
        (x,),
        lambda x: x.astype("float32"),
        lambda t, x: x.to(t.float32),
        step=0.5,
    )


def gelu_tanh(x: np.ndarray) -> np.ndarray:
    return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


ROWS: dict[str, Row] = {
    "add": binary(lambda a, b: a + b, np.add, lambda t, a, b: a + b),
    "sub": binary(lambda a, b: a - b, np.subtract, lambda t, a, b: a - b),
    "mul": binary(lambda a, b: a * b, np.multiply, lambda t, a, b: a * b),
    "div": binary(lambda a, b: a / b, np.divide, lambda t, a, b: a / b, second="positive"),
    "pow": binary(lambda a, b: a**b, np.power, lambda t, a, b: a**b, "positive", "normal"),
    "pow of a number": power_of_a_number,
    "maximum": extremum(mr.maximum, np.maximum, lambda t, a, b: t.maximum(a, b)),
    "minimum": extremum(mr.minimum, np.minimum, lambda t, a, b: t.minimum(a, b)),
    "remainder": remainder,
    "where": where,
    "clip": clip,
    "clip by Tensors": clip_by_tensors,
    "neg": unary(lambda x: -x, np.negative, lambda t, x: -x),
    "abs": unary(abs, np.abs, lambda t, x: abs(x), "apart"),
    "exp": unary(mr.exp, np.exp, lambda t, x: t.exp(x)),
    "log": unary(mr.log, np.log, lambda t, x: t.log(x), "positive"),
    "sqrt": unary(mr.sqrt, np.sqrt, lambda t, x: t.sqrt(x), "positive"),
    "sin": unary(mr.ops.sin, np.sin, lambda t, x: t.sin(x)),
    "cos": unary(mr.ops.cos, np.cos, lambda t, x: t.cos(x)),
    "tanh": unary(mr.tanh, np.tanh, lambda t, x: t.tanh(x)),
    "erf": unary(mr.ops.erf, erf, lambda t, x: t.erf(x)),
    "sigmoid": unary(
        mr.ops.sigmoid, lambda x: 1 / (1 + np.exp(-x)), lambda t, x: t.nn.functional.sigmoid(x)
    ),
    "relu": unary(
        mr.ops.relu, lambda x: x * (x > 0), lambda t, x: t.nn.functional.relu(x), "apart"
    ),
    "relu6": relu6,
    "leaky_relu": leaky_relu,
    "gelu": unary(
        mr.ops.gelu,
        lambda x: x * (1 + erf(x / math.sqrt(2))) / 2,
        lambda t, x: t.nn.functional.gelu(x),
    ),
    "gelu by tanh": unary(
        lambda x: mr.ops.gelu(x, approximate="tanh"),
        gelu_tanh,
        lambda t, x: t.nn.functional.gelu(x, approximate="tanh"),
    ),
    "residual_add": residual_add,
    "checkpoint": checkpoint,
    "dropout": dropout,
    "to": unary(
        lambda x: mr.ops.creation._transfer(x, origin=x.device, target=x.device),
        np.copy,
        lambda t, x: x.clone(),
    ),
    "clone": unary(lambda x: x.clone(), np.copy, lambda t, x: x.clone()),
    "cast": cast,
}

assert set(ROWS) - {"pow of a number", "clip by Tensors", "gelu by tanh"} <= set(registry)
