"""Softmax and the losses built on it, for scores x (N, K); labels are constants."""

from __future__ import annotations

from typing import Any

import numpy as np

from .solution import Array, Geometry, Solution, at

SHAPES = (at((3, 4)), at((4, 4)), at((5, 3)), at((3, 3)))


def softmax(x: Array) -> Array:
    """Return the softmax of each row."""
    powers = np.exp(x - x.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))


def softmax_vjp(g: Array, x: Array) -> Array:
    """Return the gradient without a Jacobian matrix."""
    y = softmax(x)
    return np.asarray(y * (g - (g * y).sum(1, keepdims=True)))


def logsumexp(x: Array) -> Array:
    """Return log(sum(exp(x))) of each row."""
    top = x.max(1, keepdims=True)
    return np.asarray(np.log(np.exp(x - top).sum(1)) + top[:, 0])


def log_softmax(x: Array) -> Array:
    """Return the logarithm of the softmax of each row."""
    return x - logsumexp(x)[:, None]


def labels(x: Array) -> Array:
    """Return the class of each row."""
    return np.asarray((2 * np.arange(len(x)) + 1) % x.shape[1])


def one_hot(x: Array) -> Array:
    """Return ones at the labels."""
    return np.eye(x.shape[1])[labels(x)]


def cross_entropy(x: Array) -> Array:
    """Return the mean cross-entropy."""
    return np.asarray(-(log_softmax(x) * one_hot(x)).sum() / len(x))


def cross_entropy_vjp(g: Array, x: Array) -> Array:
    """Return (softmax - one-hot) / N."""
    return np.asarray(g * (softmax(x) - one_hot(x)) / len(x))


SOFTMAX = Solution("", "softmax", "closed form", softmax, softmax_vjp, SHAPES)
LOGSUMEXP = Solution(
    "", "logsumexp", "by softmax", logsumexp, lambda g, x: g[:, None] * softmax(x), SHAPES
)
LOG_SOFTMAX = Solution(
    "",
    "log-softmax",
    "closed form",
    log_softmax,
    lambda g, x: g - softmax(x) * g.sum(1, keepdims=True),
    SHAPES,
)
CROSS_ENTROPY = Solution(
    "", "cross-entropy", "closed form", cross_entropy, cross_entropy_vjp, SHAPES
)
MSE = Solution(
    "",
    "mean squared error",
    "closed form",
    lambda x, y: ((x - y) ** 2).sum() / x.size,
    lambda g, x, y: (g * 2 * (x - y) / x.size, g * 2 * (y - x) / x.size),
    (at((3, 4), (3, 4)), at((6,), (6,))),
)


def _jacobians(g: Array, x: Array) -> Any:
    rows = []
    for y, upstream in zip(softmax(x), g, strict=True):
        rows.append((np.diag(y) - np.outer(y, y)) @ upstream)
    return np.stack(rows)


def _assigned_at_labels(g: Array, x: Array) -> Array:
    dx = softmax(x)
    dx[np.arange(len(x)), labels(x)] -= 1
    dx *= g / len(x)
    return dx


def _square(geometry: Geometry) -> bool:
    ((n, k),) = geometry.shapes
    return n == k


def _keepdims_lost(g: Array, x: Array) -> Array:
    y = softmax(x)
    return np.asarray(y * (g - (g * y).sum(1)))


RIGHT = (
    SOFTMAX,
    SOFTMAX.but("", "Jacobian matrices", _jacobians),
    LOGSUMEXP,
    LOG_SOFTMAX,
    CROSS_ENTROPY,
    CROSS_ENTROPY.but("", "subtracted at the labels", _assigned_at_labels),
    MSE,
)

WRONG = (
    SOFTMAX.but("", "Jacobian's diagonal only", lambda g, x: g * softmax(x) * (1 - softmax(x))),
    SOFTMAX.but(
        "",
        "mean of the row's products",
        lambda g, x: softmax(x) * (g - (g * softmax(x)).mean(1, keepdims=True)),
    ),
    SOFTMAX.but("", "keepdims lost", _keepdims_lost, _square),
    SOFTMAX.but("", "exponential's gradient", lambda g, x: g * softmax(x)),
    LOGSUMEXP.but("", "not normalised", lambda g, x: g[:, None] * np.exp(x)),
    LOG_SOFTMAX.but("", "row's sum forgotten", lambda g, x: g - softmax(x) * g),
    LOG_SOFTMAX.but("", "gradient of the softmax", softmax_vjp),
    CROSS_ENTROPY.but("", "not divided by the batch", lambda g, x: g * (softmax(x) - one_hot(x))),
    CROSS_ENTROPY.but("", "wrong sign", lambda g, x: -cross_entropy_vjp(g, x)),
    CROSS_ENTROPY.but("", "labels forgotten", lambda g, x: g * softmax(x) / len(x)),
    CROSS_ENTROPY.but("", "scores for probabilities", lambda g, x: g * (x - one_hot(x)) / len(x)),
    CROSS_ENTROPY.but(
        "", "upstream gradient ignored", lambda g, x: cross_entropy_vjp(g * 0 + 1, x)
    ),
    MSE.but("", "factor 2 forgotten", lambda g, x, y: (g * (x - y) / x.size, g * (y - x) / x.size)),
    MSE.but(
        "",
        "divided by the batch only",
        lambda g, x, y: (g * 2 * (x - y) / len(x), g * 2 * (y - x) / len(x)),
        lambda geometry: len(geometry.shapes[0]) == 2,
    ),
)
