"""Sums, means and their like along axes: factors, and axes put back where they were."""

from __future__ import annotations

from typing import Any

import numpy as np

from .elementary import positive
from .solution import Array, Geometry, Solution, at

# x (N, D) is reduced along axis 1.
SHAPES = (at((3, 4)), at((4, 4)), at((5, 3)), at((3, 3)))


def _square(geometry: Geometry) -> bool:
    ((n, d),) = geometry.shapes
    return n == d


def spread(g: Array, x: Array) -> Array:
    """Repeat g (N,) along axis 1 of x (N, D)."""
    return np.broadcast_to(g[:, None], x.shape)


def variance(x: Array) -> Array:
    """Return the variance along axis 1; `var` would take the modulus of complex numbers."""
    return np.asarray(((x - x.mean(1, keepdims=True)) ** 2).mean(1))


def norm(x: Array) -> Array:
    """Return the Euclidean norm along axis 1."""
    return np.asarray(np.sqrt((x**2).sum(1)))


def mean_and_variance(x: Array) -> tuple[Array, Array]:
    """Return two outputs."""
    return x.mean(1), variance(x)


def variance_vjp(g: Array, x: Array) -> Array:
    """Return the gradient of the variance along axis 1."""
    return np.asarray(2 / x.shape[1] * g[:, None] * (x - x.mean(1, keepdims=True)))


def mean_and_variance_vjp(g: tuple[Array, Array], x: Array) -> Array:
    """Return the sum of both outputs' contributions."""
    return np.asarray(g[0][:, None] / x.shape[1] + variance_vjp(g[1], x))


def _variance_by_matrix(g: Array, x: Array) -> Array:
    count = x.shape[1]
    centring = np.eye(count) - 1 / count
    return np.asarray(2 / count * g[:, None] * (x @ centring.T @ centring))


def _max_first(g: Array, x: Array) -> Array:
    dx = np.zeros_like(x)
    dx[np.arange(len(x)), x.argmax(1)] = g
    return dx


def _max_along_the_other_axis(g: Array, x: Array) -> Array:
    dx = np.zeros_like(x)
    dx[x.argmax(0), np.arange(len(x))] = g
    return dx


def cumulative(g: Array) -> Array:
    """Return the sums of the entries from each to the last."""
    return np.asarray(g[:, ::-1].cumsum(1)[:, ::-1])


def _cumulative_by_matrix(g: Array, x: Array) -> Array:
    return np.asarray(g @ np.tri(x.shape[1]))


SUM = Solution("", "sum", "broadcast view", lambda x: x.sum(1), spread, SHAPES)
MEAN = Solution(
    "", "mean", "broadcast view", lambda x: x.mean(1), lambda g, x: spread(g, x) / len(x[0]), SHAPES
)
VARIANCE = Solution("", "variance", "closed form", variance, variance_vjp, SHAPES)
NORM = Solution(
    "", "norm", "closed form", norm, lambda g, x: x * (g / norm(x))[:, None], SHAPES, positive
)
MAX = Solution(
    "",
    "max",
    "by mask",
    lambda x: x.max(1),
    lambda g, x: g[:, None] * (x == x.max(1)[:, None]),
    (*SHAPES, at((7, 7))),
)
PRODUCT = Solution(
    "",
    "product of entries",
    "closed form",
    lambda x: x.prod(1),
    lambda g, x: (g * x.prod(1))[:, None] / x,
    SHAPES,
    positive,
)
CUMSUM = Solution(
    "", "cumulative sum", "by flips", lambda x: x.cumsum(1), lambda g, x: cumulative(g), SHAPES
)
CUBES = Solution(
    "",
    "sum of cubes",
    "scalar output",
    lambda x: (x**3).sum(),
    lambda g, x: 3 * x**2 * g,
    (at((4,)), at((2, 3))),
)
TWO = Solution(
    "", "mean and variance", "two outputs", mean_and_variance, mean_and_variance_vjp, SHAPES
)


def _last_axis(g: Array, x: Array) -> Any:
    return np.broadcast_to(g, x.shape)


RIGHT = (
    *(SUM, MEAN, VARIANCE, NORM, MAX, PRODUCT, CUMSUM, CUBES, TWO),
    VARIANCE.but("", "by the centring matrix", _variance_by_matrix),
    MAX.but("", "by argmax", _max_first),
    CUMSUM.but("", "by a triangular matrix", _cumulative_by_matrix),
)

WRONG = (
    # With as many rows as columns, g of shape (N,) meets the wrong axis without an error.
    SUM.but("A8", "keepdims lost", _last_axis, _square),
    MEAN.but("", "keepdims lost", lambda g, x: _last_axis(g, x) / len(x), _square),
    MEAN.but("", "not divided", spread),
    MEAN.but("", "divided by all entries", lambda g, x: spread(g, x) / x.size),
    VARIANCE.but("", "mean not subtracted", lambda g, x: 2 / x.shape[1] * g[:, None] * x),
    VARIANCE.but("", "of N - 1", lambda g, x: variance_vjp(g, x) * len(x[0]) / (len(x[0]) - 1)),
    NORM.but("", "not divided by the norm", lambda g, x: x * g[:, None]),
    MAX.but("", "to every entry", spread),
    # In a small matrix the winners of rows and columns may all lie on the diagonal.
    MAX.but(
        "",
        "winners of the other axis",
        _max_along_the_other_axis,
        lambda geometry: geometry.shapes == ((7, 7),),
    ),
    PRODUCT.but("", "own factor kept", lambda g, x: spread(g * x.prod(1), x)),
    CUMSUM.but("", "not reversed", lambda g, x: g.cumsum(1)),
    CUBES.but("", "upstream gradient of a scalar ignored", lambda g, x: 3 * x**2),
    TWO.but("", "second output's contribution lost", lambda g, x: spread(g[0], x) / x.shape[1]),
    TWO.but("", "outputs exchanged", lambda g, x: mean_and_variance_vjp(g[::-1], x)),
)
