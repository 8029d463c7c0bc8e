"""Rows of matrix products, normalisation and losses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import minires as mr
from minires.autograd import registry
from tests.ops import naive

from .case import Case, Dice, Row, beside


def matmul(dice: Dice) -> Case:
    shapes = dice.draw(mutually_broadcastable_shapes(signature=np.matmul.signature, max_side=3))
    a, b = shapes.input_shapes
    if dice.flag():
        # A size of 0 between the two makes a product of zeros.
        a, b = ((2, 0), (0, 3)) if dice.flag() else ((0, 2), (2,))
    inputs = dice.normal(*a), dice.normal(*b)
    return Case(mr.matmul, inputs, np.matmul, lambda t, a, b: t.matmul(a, b))


def linear(dice: Dice) -> Case:
    *lead, features = dice.shape(least_dims=1)
    outputs = dice.number(1, 3)
    inputs = [dice.normal(*lead, features), dice.normal(outputs, features)]
    if dice.flag():
        inputs.append(dice.normal(outputs))
    return Case(
        mr.ops.linear,
        tuple(inputs),
        lambda x, w, b=0.0: np.einsum("...i,oi->...o", x, w) + b,
        lambda t, *xs: t.nn.functional.linear(*xs),
    )


EQUATIONS = (
    "ij,jk->ik",
    "bij,bjk->bik",
    "ij->ji",
    "ij->",
    "ij->j",
    "ij",
    "ji",
    "i,j->ij",
    "ii->i",
    "ii",
    "iij,j->i",
    "ij,ij,j->i",
    "...ij,jk->...ik",
    "...i,...i->...",
    "i...->...i",
    "bij,kj->bki",
    "i,i",
    "ij,k->kij",
)


def einsum(dice: Dice) -> Case:
    equation = dice.choose(*EQUATIONS)
    lengths = {letter: dice.choose(0, 1, 2, 3) for letter in "bijk"}
    batch = dice.shape(0, 2)
    operands = []
    for letters in equation.split("->")[0].split(","):
        shape: list[int] = []
        for part in letters.replace("...", "."):
            shape += list(batch) if part == "." else [lengths[part]]
        operands.append(dice.normal(*shape))
    return Case(
        lambda *xs: mr.einsum(equation, *xs),
        tuple(operands),
        lambda *xs: np.einsum(equation, *xs),
        lambda t, *xs: t.einsum(equation, *xs),
    )


def batch_norm(dice: Dice) -> Case:
    return batch_norm_case(dice, mr.ops.batch_norm, training=dice.flag())


def batch_norm_relu(dice: Dice) -> Case:
    return batch_norm_case(dice, mr.ops.batch_norm_relu, training=dice.flag(), fused=True)


def batch_norm_case(dice: Dice, op: Any, training: bool, fused: bool = False) -> Case:
    """Batch norm; if fused, perhaps with a shortcut that is added, and a ReLU at the end."""
    channels = dice.number(1, 3)
    shape = (dice.number(2, 3), channels, *dice.shape(0, 2, least=1))
    eps = dice.choose(1e-5, 0.1)
    mean, var = dice.normal(channels), dice.positive(channels)
    given = dice.choose((), ("weight",), ("weight", "bias"), ("bias",))
    inputs = dice.normal(*shape), *(dice.normal(channels) for _ in given)
    if fused and dice.flag():
        given, inputs = (*given, "shortcut"), (*inputs, dice.normal(*shape))

    def column(vector: np.ndarray) -> np.ndarray:
        return vector.reshape(-1, *[1] * (len(shape) - 2))

    def run(x: mr.Tensor, *others: mr.Tensor) -> mr.Tensor:
        options: Any = dict(zip(given, others, strict=True))
        running = (mr.tensor(each, device=x.device) for each in (mean, var))
        return op(x, *running, training=training, eps=eps, **options)

    def before_relu(x: np.ndarray, *others: np.ndarray) -> np.ndarray:
        options = {"weight": np.ones(channels), "bias": np.zeros(channels), "shortcut": 0.0}
        options |= dict(zip(given, others, strict=True))
        axes = (0, *range(2, x.ndim))
        m, v = (x.mean(axes), x.var(axes)) if training else (mean, var)
        normalised = (x - column(m)) / np.sqrt(column(v) + eps)
        y = normalised * column(options["weight"]) + column(options["bias"])
        return y + options["shortcut"]

    def reference(*arrays: np.ndarray) -> np.ndarray:
        y = before_relu(*arrays)
        return np.maximum(y, 0) if fused else y

    def torch(t: Any, x: Any, *others: Any) -> Any:
        options = dict(zip(given, others, strict=True))
        shortcut = options.pop("shortcut", 0.0)
        running = t.tensor(mean), t.tensor(var)
        y = t.nn.functional.batch_norm(x, *running, training=training, eps=eps, **options)
        return t.relu(y + shortcut) if fused else y

    # No step of a difference may cross ReLU's kink.
    assume(not fused or np.abs(before_relu(*inputs)).min() > 1e-3)
    return Case(run, inputs, reference, torch)


def batch_norm_relu_conv2d(dice: Dice) -> Case:
    """A batch norm with ReLU, and a convolution of what it gives."""
    channels, training, eps = dice.number(1, 3), dice.flag(), dice.choose(1e-5, 0.1)
    shape = dice.number(2, 3), channels, dice.number(2, 4), dice.number(2, 4)
    mean, var = dice.normal(channels), dice.positive(channels)
    filters = dice.number(1, 3), channels, dice.number(1, 2), dice.number(1, 2)
    stride, padding = dice.number(1, 2), dice.number(0, 1)
    vectors = tuple(dice.normal(channels) for _ in range(2)) if dice.flag() else ()
    bias = (dice.normal(filters[0]),) if dice.flag() else ()
    inputs = dice.normal(*shape), dice.normal(*filters), *vectors, *bias

    def split(others: Any) -> tuple[Any, Any]:
        norm = others[: len(vectors)] or (None, None)
        return norm, others[-1] if bias else None

    def run(x: mr.Tensor, weight: mr.Tensor, *others: mr.Tensor) -> mr.Tensor:
        norm, b = split(others)
        running = (mr.tensor(each, device=x.device) for each in (mean, var))
        options: Any = {"training": training, "eps": eps, "stride": stride, "padding": padding}
        return mr.ops.batch_norm_relu_conv2d(x, *running, *norm, weight, b, **options)

    def before_relu(x: np.ndarray, norm: Any) -> np.ndarray:
        m, v = (x.mean((0, 2, 3)), x.var((0, 2, 3))) if training else (mean, var)
        column = (-1, 1, 1)
        y = (x - m.reshape(column)) / np.sqrt(v.reshape(column) + eps)
        return y if norm[0] is None else y * norm[0].reshape(column) + norm[1].reshape(column)

    def reference(x: np.ndarray, weight: np.ndarray, *others: np.ndarray) -> np.ndarray:
        norm, b = split(others)
        active = np.maximum(before_relu(x, norm), 0)
        return naive.conv2d(active, weight, b, (stride,) * 2, (padding,) * 2, (1, 1), 1)

    def torch(t: Any, x: Any, weight: Any, *others: Any) -> Any:
        norm, b = split(others)
        running = t.tensor(mean), t.tensor(var)
        y = t.nn.functional.batch_norm(x, *running, *norm, training=training, eps=eps)
        return t.nn.functional.conv2d(t.relu(y), weight, b, stride, padding)

    # No step of a difference may cross ReLU's kink.
    assume(np.abs(before_relu(inputs[0], split(inputs[2:])[0])).min() > 1e-3)
    return Case(run, inputs, reference, torch)


def cross_entropy(dice: Dice) -> Case:
    n, classes = dice.number(1, 4), dice.number(1, 4)
    places = dice.shape(most_dims=2, least=1) if dice.flag() else ()
    labels = dice.rng.integers(0, classes, (n, *places))
    ignored = dice.choose(-100, -1)
    if dice.flag() and labels.size > 1:
        labels.flat[dice.number(0, labels.size - 1)] = ignored
    weight = dice.positive(classes) if dice.flag() else None
    reduction, smoothing = dice.choose("mean", "sum", "none"), dice.choose(0.0, 0.3)

    def reference(x: np.ndarray) -> np.ndarray:
        losses, total = np.zeros(labels.shape), 0.0
        of_class = np.ones(classes) if weight is None else weight
        for place, label in np.ndenumerate(labels):
            if label == ignored:
                continue
            row = x[(place[0], slice(None), *place[1:])]
            log_p = [value - math.log(sum(map(math.exp, row))) for value in row]
            uniform = -sum(w * p for w, p in zip(of_class, log_p, strict=True)) / classes
            right = -log_p[label] * of_class[label]
            losses[place] = (1 - smoothing) * right + smoothing * uniform
            total += of_class[label]
        return {"mean": losses.sum() / total, "sum": losses.sum(), "none": losses}[reduction]

    return Case(
        lambda x: mr.ops.cross_entropy(
            x,
            mr.tensor(labels, device=x.device),
            beside(x, weight),
            ignore_index=ignored,
            reduction=reduction,
            label_smoothing=smoothing,
        ),
        (dice.normal(n, classes, *places),),
        reference,
        lambda t, x: t.nn.functional.cross_entropy(
            x,
            t.tensor(labels),
            None if weight is None else t.tensor(weight),
            ignore_index=ignored,
            reduction=reduction,
            label_smoothing=smoothing,
        ),
    )


def bare_cross_entropy(dice: Dice) -> Case:
    labels = dice.rng.integers(0, 3, dice.number(0, 3))
    weight = dice.positive(3) if dice.flag() else None
    of_class = np.ones(3) if weight is None else weight

    def run(x: mr.Tensor) -> mr.Tensor:
        own = None if weight is None else weight.astype(x.dtype)
        given = {"target": beside(x, labels), "weight": beside(x, own)}
        return registry["cross_entropy"](x, label_smoothing=0.1, **given)

    return Case(
        run,
        (dice.normal(len(labels), 3),),
        lambda x: np.array(
            [
                0.9 * of_class[label] * (np.log(np.exp(row).sum()) - row[label])
                + 0.1 * (of_class * (np.log(np.exp(row).sum()) - row)).mean()
                for row, label in zip(x, labels, strict=True)
            ]
        ),
    )


def soft_cross_entropy(dice: Dice) -> Case:
    n, classes = dice.number(1, 4), dice.number(1, 4)
    places = dice.shape(most_dims=2, least=1) if dice.flag() else ()
    weight = dice.positive(classes) if dice.flag() else None
    reduction, smoothing = dice.choose("mean", "sum", "none"), dice.choose(0.0, 0.3)

    def reference(x: np.ndarray, target: np.ndarray) -> np.ndarray:
        losses = np.zeros((n, *places))
        for place in np.ndindex(losses.shape):
            at = place[0], slice(None), *place[1:]
            for c, (logit, probability) in enumerate(zip(x[at], target[at], strict=True)):
                log_p = logit - math.log(sum(map(math.exp, x[at])))
                smoothed = (1 - smoothing) * probability + smoothing / classes
                losses[place] -= (1.0 if weight is None else weight[c]) * smoothed * log_p
        return {"mean": losses.mean(), "sum": losses.sum(), "none": losses}[reduction]

    def options(given: Any) -> dict[str, Any]:
        return {"weight": given, "reduction": reduction, "label_smoothing": smoothing}

    return Case(
        lambda x, y: mr.ops.cross_entropy(x, y, **options(beside(x, weight))),
        (dice.normal(n, classes, *places), dice.positive(n, classes, *places)),
        reference,
        lambda t, x, y: t.nn.functional.cross_entropy(
            x, y, **options(None if weight is None else t.tensor(weight))
        ),
    )


def mse_loss(dice: Dice) -> Case:
    shape = dice.shape(least=1)
    reduction = dice.choose("mean", "sum", "none")
    reduce = {"mean": np.mean, "sum": np.sum, "none": np.array}[reduction]
    return Case(
        lambda x, y: mr.ops.mse_loss(x, y, reduction=reduction),
        (dice.normal(*shape), dice.normal(*shape)),
        lambda x, y: reduce((x - y) ** 2),
        lambda t, x, y: t.nn.functional.mse_loss(x, y, reduction=reduction),
    )


ROWS: dict[str, Row] = {
    "matmul": matmul,
    "linear": linear,
    "einsum": einsum,
    "batch_norm": batch_norm,
    "batch_norm_relu": batch_norm_relu,
    "batch_norm_relu_conv2d": batch_norm_relu_conv2d,
    "cross_entropy": bare_cross_entropy,
    "cross_entropy, reduced": cross_entropy,
    "cross_entropy, soft labels": soft_cross_entropy,
    "mse_loss": mse_loss,
}
