"""The test of the test: a bank of wrong gradients, each a mistake that people make, is rejected.

Right and wrong ones are written in NumPy, and go to the checker as they are and as ops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

import minires as mr

Array = np.ndarray[Any, Any]


class Pair(NamedTuple):
    """A function of arrays, its gradient, and where to check it."""

    forward: Callable[..., Any]
    vjp: Callable[..., Any]
    inputs: list[Array]


def normal(*shape: int) -> Array:
    return np.asarray(np.random.default_rng(sum(shape)).standard_normal(shape))


def as_op(pair: Pair) -> Callable[..., Any]:
    """The same function and gradient as an op of the engine."""
    planted = mr.op(name="planted")(lambda *values: pair.forward(*values))

    @planted.vjp
    def _(g: Array, inputs: tuple[Array, ...]) -> Any:
        return pair.vjp(g, *inputs)

    return planted


# Letters: N images, C and O channels, (H, W) image, (KH, KW) kernel; stride S, padding P.
S, P = 2, 1


def conv(x: Array, w: Array, b: Array) -> Array:
    return np.einsum("nchwij,ocij->nohw", _windows(x, w), w) + b[:, None, None]


def _windows(x: Array, w: Array) -> Array:
    padded = np.pad(x, [(0, 0), (0, 0), (P, P), (P, P)])
    return sliding_window_view(padded, w.shape[2:], (2, 3))[:, :, ::S, ::S]


def _spread(g: Array, x: Array, w: Array, stride: int = S, assign: bool = False) -> Array:
    """The input's gradient: every output stamps the filters back into the padded image."""
    padded = np.zeros((*x.shape[:2], x.shape[2] + 2 * P, x.shape[3] + 2 * P))
    (kh, kw), (oh, ow) = w.shape[2:], g.shape[2:]
    for i in range(oh):
        for j in range(ow):
            stamp = np.einsum("no,ocij->ncij", g[:, :, i, j], w)
            rows, columns = slice(i * stride, i * stride + kh), slice(j * stride, j * stride + kw)
            padded[:, :, rows, columns] = stamp + (0 if assign else padded[:, :, rows, columns])
    return padded[:, :, P:-P, P:-P]


def conv_vjp(g: Array, x: Array, w: Array, b: Array) -> tuple[Array, Array, Array]:
    dw = np.einsum("nohw,nchwij->ocij", g, _windows(x, w))
    return _spread(g, x, w), dw, g.sum((0, 2, 3))


def batch_norm(x: Array, w: Array, b: Array) -> Array:
    return w * (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) + b


def batch_norm_vjp(
    g: Array,
    x: Array,
    w: Array,
    b: Array,
    *,
    mean_path: float = 1.0,
    variance_path: float = 1.0,
) -> tuple[Array, Array, Array]:
    std = np.sqrt(x.var(0) + 1e-5)
    x_hat = (x - x.mean(0)) / std
    through_mean, through_variance = g.mean(0), x_hat * (g * x_hat).mean(0)
    dx = w / std * (g - mean_path * through_mean - variance_path * through_variance)
    return dx, (g * x_hat).sum(0), g.sum(0)


def softmax(x: Array) -> Array:
    powers = np.exp(x - x.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def softmax_vjp(g: Array, x: Array) -> Array:
    y = softmax(x)
    return y * (g - (g * y).sum(1, keepdims=True))


def block(x: Array, w: Array) -> Array:
    """A residual block with one layer: relu(x + relu(x @ w))."""
    return np.maximum(x + np.maximum(x @ w, 0), 0)


def block_vjp(
    g: Array, x: Array, w: Array, *, shortcut: float = 1.0, branch: float = 1.0
) -> tuple[Array, Array]:
    g = g * (block(x, w) > 0)
    inner = g * (x @ w > 0)
    return shortcut * g + branch * (inner @ w.T), x.T @ inner


def lookup(x: Array) -> Array:
    return x[[0, 2, 2, 1]]


def lookup_vjp(g: Array, x: Array) -> Array:
    dx = np.zeros_like(x)
    np.add.at(dx, [0, 2, 2, 1], g)
    return dx


CONV = [normal(3, 2, 5, 4), normal(4, 2, 3, 2), normal(4)]
NORM = [normal(5, 3) + 2, normal(3), normal(3) + 1]
BLOCK = [normal(5, 4), normal(4, 4)]

RIGHT: dict[str, Pair] = {
    "square": Pair(np.square, lambda g, x: 2 * x * g, [normal(3, 4)]),
    "product with a sine": Pair(
        lambda x: x * np.sin(x), lambda g, x: g * (np.sin(x) + x * np.cos(x)), [normal(6)]
    ),
    "quotient": Pair(
        lambda a, b: a / b, lambda g, a, b: (g / b, -g * a / b**2), [normal(7), normal(1, 7)[0] + 3]
    ),
    "matmul": Pair(
        np.matmul, lambda g, a, b: (g @ b.T, a.T @ g), [normal(3, 3), normal(3, 3) + 0.5]
    ),
    "broadcast add": Pair(np.add, lambda g, a, b: (g, g.sum(0)), [normal(4, 3), normal(3)]),
    "mean": Pair(lambda x: x.mean(0), lambda g, x: np.broadcast_to(g / 4, x.shape), [normal(4, 3)]),
    "max": Pair(
        lambda x: x.max(1), lambda g, x: g[:, None] * (x == x.max(1)[:, None]), [normal(4, 5)]
    ),
    "relu": Pair(lambda x: np.maximum(x, 0), lambda g, x: g * (x > 0), [normal(4, 5)]),
    "softmax": Pair(softmax, softmax_vjp, [normal(3, 4)]),
    "lookup": Pair(lookup, lookup_vjp, [normal(3, 2)]),
    "scalar": Pair(lambda x: (x**3).sum(), lambda g, x: 3 * x**2 * g, [normal(4)]),
    "convolution": Pair(conv, conv_vjp, CONV),
    "batch norm": Pair(batch_norm, batch_norm_vjp, NORM),
    "residual block": Pair(block, block_vjp, BLOCK),
}


def _wrong(name: str, vjp: Callable[..., Any]) -> Pair:
    return RIGHT[name]._replace(vjp=vjp)


def _conv_but(
    dx: Callable[..., Array] | None = None,
    dw: Callable[..., Array] | None = None,
    db: Callable[..., Array] | None = None,
) -> Pair:
    """Convolution with some of its gradients replaced."""

    def vjp(g: Array, x: Array, w: Array, b: Array) -> tuple[Array, ...]:
        right = conv_vjp(g, x, w, b)
        return tuple(
            wrong(g, x, w, value) if wrong else value
            for wrong, value in zip((dx, dw, db), right, strict=True)
        )

    return RIGHT["convolution"]._replace(vjp=vjp)


def _norm_but(change: Callable[..., tuple[Array, ...]]) -> Pair:
    def vjp(g: Array, x: Array, w: Array, b: Array) -> tuple[Array, ...]:
        return change(g, x, w, *batch_norm_vjp(g, x, w, b))

    return RIGHT["batch norm"]._replace(vjp=vjp)


def _paths(**paths: float) -> Pair:
    return RIGHT["batch norm"]._replace(vjp=lambda g, x, w, b: batch_norm_vjp(g, x, w, b, **paths))


def _one_entry_off(g: Array, x: Array) -> Array:
    dx = 2 * x * g
    dx[2, 1] *= 1 + 1e-5
    return dx


def _one_nan(g: Array, x: Array) -> Array:
    dx = 2 * x * g
    dx[1, 1] = np.nan
    return dx


def _repeats_lost(g: Array, x: Array) -> Array:
    dx = np.zeros_like(x)
    dx[[0, 2, 2, 1]] = g
    return dx


def _mask_before_the_add(g: Array, x: Array, w: Array) -> tuple[Array, Array]:
    inner = g * (x @ w > 0)
    return g + inner @ w.T, x.T @ inner


WRONG: dict[str, Pair] = {
    # Plain functions
    "scaled by half": _wrong("square", lambda g, x: x * g),
    "off by one in 100,000": _wrong("square", lambda g, x: 2 * x * g * (1 + 1e-5)),
    "one entry off by one in 100,000": _wrong("square", _one_entry_off),
    "sign": _wrong("square", lambda g, x: -2 * x * g),
    "cotangent ignored": _wrong("square", lambda g, x: 2 * x),
    "cotangent summed": _wrong("square", lambda g, x: 2 * x * g.sum()),
    "zeros": _wrong("square", lambda g, x: np.zeros_like(x)),
    "a NaN": _wrong("square", _one_nan),
    "flipped": _wrong("square", lambda g, x: (2 * x * g)[::-1]),
    "term of the product rule missing": _wrong("product with a sine", lambda g, x: g * np.sin(x)),
    "quotient's denominator not squared": _wrong("quotient", lambda g, a, b: (g / b, -g * a / b)),
    "quotient's sign": _wrong("quotient", lambda g, a, b: (g / b, g * a / b**2)),
    "gradients of the operands swapped": _wrong("matmul", lambda g, a, b: (a.T @ g, g @ b.T)),
    "matmul without transposes": _wrong("matmul", lambda g, a, b: (g @ b, a @ g)),
    "result transposed": _wrong("matmul", lambda g, a, b: ((g @ b.T).T, a.T @ g)),
    "broadcast averaged, not summed": _wrong("broadcast add", lambda g, a, b: (g, g.mean(0))),
    "broadcast from the last row only": _wrong("broadcast add", lambda g, a, b: (g, g[-1])),
    "mean not divided": _wrong("mean", lambda g, x: np.broadcast_to(g, x.shape)),
    "max to every entry": _wrong("max", lambda g, x: np.repeat(g[:, None], 5, 1)),
    "relu without mask": _wrong("relu", lambda g, x: g),
    "relu masked by the gradient": _wrong("relu", lambda g, x: g * (g > 0)),
    "softmax's diagonal only": _wrong("softmax", lambda g, x: g * softmax(x) * (1 - softmax(x))),
    "repeated index assigned, not added": _wrong("lookup", _repeats_lost),
    "cotangent of a scalar ignored": _wrong("scalar", lambda g, x: 3 * x**2),
    # Residual
    "no gradient through the shortcut": _wrong(
        "residual block", lambda g, x, w: block_vjp(g, x, w, shortcut=0)
    ),
    "shortcut counted twice": _wrong(
        "residual block", lambda g, x, w: block_vjp(g, x, w, shortcut=2)
    ),
    "no gradient through the branch": _wrong(
        "residual block", lambda g, x, w: block_vjp(g, x, w, branch=0)
    ),
    "mask taken before the add": _wrong("residual block", _mask_before_the_add),
    # Convolution
    "kernel rotated": _conv_but(dx=lambda g, x, w, _: _spread(g, x, w[:, :, ::-1, ::-1])),
    "input gradient without stride": _conv_but(dx=lambda g, x, w, _: _spread(g, x, w, stride=1)),
    "overlaps assigned, not added": _conv_but(dx=lambda g, x, w, _: _spread(g, x, w, assign=True)),
    "batch reversed": _conv_but(dx=lambda g, x, w, dx: dx[::-1]),
    "input gradient ignores the cotangent": _conv_but(
        dx=lambda g, x, w, _: _spread(np.ones_like(g), x, w)
    ),
    "weight gradient rotated": _conv_but(dw=lambda g, x, w, dw: dw[:, :, ::-1, ::-1]),
    "weight gradient averaged": _conv_but(dw=lambda g, x, w, dw: dw / len(x)),
    "weight gradient of the last sample only": _conv_but(
        dw=lambda g, x, w, _: conv_vjp(g[-1:], x[-1:], w, w[:, 0, 0, 0])[1]
    ),
    "weight channels permuted": _conv_but(dw=lambda g, x, w, dw: dw[:, ::-1]),
    "bias gradient is a count": _conv_but(
        db=lambda g, x, w, db: np.full_like(db, g.size / len(db))
    ),
    "bias gradient of the last sample only": _conv_but(db=lambda g, x, w, _: g[-1].sum((1, 2))),
    # Batch normalisation
    "path through the mean dropped": _paths(mean_path=0),
    "path through the variance dropped": _paths(variance_path=0),
    "both paths dropped": _paths(mean_path=0, variance_path=0),
    "sign of the variance path": _paths(variance_path=-1),
    "variance of N - 1": _paths(variance_path=5 / 4),
    "scale forgotten": _norm_but(lambda g, x, w, dx, dw, db: (dx / w, dw, db)),
    "1 / std forgotten": _norm_but(lambda g, x, w, dx, dw, db: (dx * x.std(0), dw, db)),
    "scale gradient without x_hat": _norm_but(lambda g, x, w, dx, dw, db: (dx, db, db)),
    "zeros for the input": _norm_but(lambda g, x, w, dx, dw, db: (0 * dx, dw, db)),
    "shift gradient averaged": _norm_but(lambda g, x, w, dx, dw, db: (dx, dw, db / len(x))),
}


def both_ways(pair: Pair, route: str) -> Any:
    return as_op(pair) if route == "op" else (pair.forward, pair.vjp)


@pytest.mark.parametrize("route", ["NumPy pair", "op"])
@pytest.mark.parametrize("name", sorted(RIGHT))
def test_right_gradients_written_by_hand_are_accepted(name: str, route: str) -> None:
    pair = RIGHT[name]

    report = mr.gradcheck(both_ways(pair, route), pair.inputs)

    assert report
    assert [row.compared for row in report.inputs] == [array.size for array in pair.inputs]


@pytest.mark.parametrize("route", ["NumPy pair", "op"])
@pytest.mark.parametrize("name", sorted(WRONG))
def test_a_planted_wrong_gradient_is_rejected(name: str, route: str) -> None:
    pair = WRONG[name]

    report = mr.gradcheck(both_ways(pair, route), pair.inputs)

    assert report.status == "wrong"
    assert not report
    assert sum(row.wrong for row in report.inputs) > 0


@given(name=st.sampled_from(sorted(WRONG)), seed=st.integers(0, 1000))
def test_no_cotangent_saves_a_planted_wrong_gradient(name: str, seed: int) -> None:
    pair = WRONG[name]

    assert mr.gradcheck((pair.forward, pair.vjp), pair.inputs, seed=seed).status == "wrong"


def test_only_the_input_with_the_wrong_gradient_is_blamed() -> None:
    pair = WRONG["weight gradient averaged"]

    report = mr.gradcheck((pair.forward, pair.vjp), pair.inputs)

    assert [row.name for row in report.inputs] == ["input 0 (x)", "input 1 (w)", "input 2 (b)"]
    assert [row.wrong for row in report.inputs] == [0, 48, 0]


def test_the_worst_entry_is_shown_with_both_values() -> None:
    pair = WRONG["one entry off by one in 100,000"]

    report = mr.gradcheck((pair.forward, pair.vjp), pair.inputs)

    (row,) = report.inputs
    assert row.wrong == 1
    assert row.worst is not None
    assert row.worst.index == (2, 1)
    assert row.worst.relative_error == pytest.approx(1e-5, rel=1e-2)
    assert row.worst.analytic == pytest.approx(row.worst.numeric * (1 + 1e-5), rel=1e-9)
    text = report.explain()
    for part in (
        "WRONG",
        "input 0 (x)",
        "(3, 4)",
        "(2, 1)",
        f"{row.worst.analytic:.8g}",
        "1.0e-05",
    ):
        assert part in text


def test_a_forgotten_batch_norm_gradient_hides_from_a_cotangent_of_ones_but_not_from_ours() -> None:
    x, w, b = RIGHT["batch norm"].inputs
    zeros = WRONG["zeros for the input"]

    seen_by_ones, _, _ = batch_norm_vjp(np.ones_like(x), x, w, b)

    np.testing.assert_allclose(seen_by_ones, 0, atol=1e-12)
    assert mr.gradcheck((zeros.forward, zeros.vjp), [x, w, b]).status == "wrong"
