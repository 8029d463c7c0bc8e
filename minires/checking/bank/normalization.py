"""Batch normalisation of (N, C) and (N, C, H, W), and layer normalisation of (N, D)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .solution import Array, Geometry, Rng, Solution, at, away_from_zero, normal


def channels(v: Array, x: Array) -> Array:
    """Bring v (C,) into a shape that meets the channels of x."""
    return v.reshape(-1, *(1,) * (x.ndim - 2))


def over(x: Array) -> tuple[int, ...]:
    """Return all axes but the channels'."""
    return (0, *range(2, x.ndim))


def statistics(x: Array) -> tuple[Array, Array]:
    """Return mean and variance per channel; `var` would take the modulus of complex numbers."""
    mean = x.mean(over(x), keepdims=True)
    return mean, ((x - mean) ** 2).mean(over(x), keepdims=True)


def batch_norm(x: Array, w: Array, b: Array, *, eps: float) -> Array:
    """Return w (x - mean) / sqrt(variance + eps) + b, with the batch's statistics."""
    mean, variance = statistics(x)
    x_hat = (x - mean) / np.sqrt(variance + eps)
    return np.asarray(channels(w, x) * x_hat + channels(b, x))


def batch_norm_vjp(
    g: Array,
    x: Array,
    w: Array,
    b: Array,
    *,
    eps: float,
    mean_path: float = 1.0,
    variance_path: float = 1.0,
    average: Callable[[Array], Array] = lambda v: v.mean(over(v), keepdims=True),
) -> tuple[Array, Array, Array]:
    """Return the gradients of x, w and b; the last three arguments plant mistakes."""
    mean, variance = statistics(x)
    std = np.sqrt(variance + eps)
    x_hat = (x - mean) / std
    through_mean, through_variance = average(g), x_hat * average(g * x_hat)
    dx = channels(w, x) / std * (g - mean_path * through_mean - variance_path * through_variance)
    return dx, (g * x_hat).sum(over(x)), g.sum(over(x))


def _off_centre(rng: Rng, geometry: Geometry) -> list[Array]:
    x, w, b = normal(rng, geometry)
    return [x + 1, away_from_zero(w), b]


GEOMETRIES = (
    at((5, 3), (3,), (3,), eps=1e-5),
    at((3, 2, 2, 3), (2,), (2,), eps=1e-5),
    at((4, 2), (2,), (2,), eps=1e-2),
    at((2, 3, 3, 2), (3,), (3,), eps=1e-2),
)
BATCH_NORM = Solution(
    "", "batch norm", "closed form", batch_norm, batch_norm_vjp, GEOMETRIES, _off_centre
)


# Right ones


def _step_by_step(g: Array, x: Array, w: Array, b: Array, *, eps: float) -> Any:
    axes, count = over(x), x.size / x.shape[1]
    mean = x.mean(axes, keepdims=True)
    centred = x - mean
    variance = (centred**2).mean(axes, keepdims=True)
    std = np.sqrt(variance + eps)
    inverse = 1 / std
    dx_hat = g * channels(w, x)
    dinverse = (dx_hat * centred).sum(axes, keepdims=True)
    dvariance = -dinverse / std**2 * 0.5 / std
    dcentred = dx_hat * inverse + dvariance * 2 * centred / count
    dx = dcentred - dcentred.sum(axes, keepdims=True) / count
    return dx, (g * centred * inverse).sum(axes), g.sum(axes)


def _count_factored_out(g: Array, x: Array, w: Array, b: Array, *, eps: float) -> Any:
    axes, count = over(x), x.size // x.shape[1]
    mean, variance = statistics(x)
    inverse = 1 / np.sqrt(variance + eps)
    x_hat = (x - mean) * inverse
    dw, db = (g * x_hat).sum(axes), g.sum(axes)
    inner = count * g - channels(db, x) - x_hat * channels(dw, x)
    return channels(w, x) * inverse / count * inner, dw, db


def _projections(g: Array, x: Array, w: Array, b: Array, *, eps: float) -> Any:
    """Multiply each channel's vector by its Jacobian matrix."""
    rows, incoming = (np.moveaxis(v, 1, 0).reshape(len(w), -1) for v in (x, g))
    count = rows.shape[1]
    dx, dw = np.empty_like(rows), np.empty_like(w)
    for c, (row, upstream) in enumerate(zip(rows, incoming, strict=True)):
        std = np.sqrt(row.var() + eps)
        x_hat = (row - row.mean()) / std
        jacobian = w[c] / std * (np.eye(count) - 1 / count - np.outer(x_hat, x_hat) / count)
        dx[c], dw[c] = jacobian.T @ upstream, x_hat @ upstream
    moved = dx.reshape(len(w), *np.delete(x.shape, 1))
    return np.moveaxis(moved, 0, 1), dw, incoming.sum(1)


# Wrong ones


def _changed(change: Callable[..., tuple[Array, ...]]) -> Callable[..., tuple[Array, ...]]:
    """Return the right gradients after ``change(dx, dw, db, x, w, eps)``."""
    return lambda g, x, w, b, *, eps: change(*batch_norm_vjp(g, x, w, b, eps=eps), x, w, eps)


def _std(x: Array, eps: float) -> Array:
    return np.asarray(np.sqrt(statistics(x)[1] + eps))


def _of_n_minus_1(g: Array, x: Array, w: Array, b: Array, *, eps: float) -> Any:
    count = x.size / x.shape[1]
    return batch_norm_vjp(g, x, w, b, eps=eps, variance_path=count / (count - 1))


def _eps_outside(g: Array, x: Array, w: Array, b: Array, *, eps: float) -> Any:
    mean, variance = statistics(x)
    std = np.sqrt(variance) + eps
    x_hat = (x - mean) / std
    through = [v.mean(over(v), keepdims=True) for v in (g, g * x_hat)]
    dx = channels(w, x) / std * (g - through[0] - x_hat * through[1])
    return dx, (g * x_hat).sum(over(x)), g.sum(over(x))


def _large_eps(geometry: Geometry) -> bool:
    return bool(geometry.options["eps"] > 1e-3)


def _images(geometry: Geometry) -> bool:
    return len(geometry.shapes[0]) == 4


# Evaluation: constant statistics, so only the scale acts on the gradient.


def running(x: Array) -> tuple[Array, Array]:
    """Return the constant statistics that evaluation uses here."""
    count = x.shape[1]
    return channels(np.linspace(-0.5, 1, count), x), channels(np.linspace(0.5, 2, count), x)


def batch_norm_eval(x: Array, w: Array, b: Array, *, eps: float) -> Array:
    """Normalise with running statistics."""
    mean, variance = running(x)
    x_hat = (x - mean) / np.sqrt(variance + eps)
    return np.asarray(channels(w, x) * x_hat + channels(b, x))


def batch_norm_eval_vjp(g: Array, x: Array, w: Array, b: Array, *, eps: float) -> Any:
    """Return the gradients with statistics that do not depend on x."""
    mean, variance = running(x)
    x_hat = (x - mean) / np.sqrt(variance + eps)
    dx = g * channels(w, x) / np.sqrt(variance + eps)
    return dx, (g * x_hat).sum(over(x)), g.sum(over(x))


def _training_formula(g: Array, x: Array, w: Array, b: Array, *, eps: float) -> Any:
    _, dw, db = batch_norm_eval_vjp(g, x, w, b, eps=eps)
    mean, variance = running(x)
    std = np.sqrt(variance + eps)
    x_hat = (x - mean) / std
    through = [v.mean(over(v), keepdims=True) for v in (g, g * x_hat)]
    return channels(w, x) / std * (g - through[0] - x_hat * through[1]), dw, db


EVALUATION = Solution(
    "",
    "batch norm in evaluation",
    "closed form",
    batch_norm_eval,
    batch_norm_eval_vjp,
    GEOMETRIES,
    _off_centre,
)


# Layer normalisation: the same, along the other axis.


def layer_norm(x: Array, w: Array, b: Array) -> Array:
    """Normalise each row of x (N, D)."""
    return w * batch_norm(x.T, np.ones(len(x)), np.zeros(len(x)), eps=1e-5).T + b


def layer_norm_vjp(
    g: Array, x: Array, w: Array, b: Array, *, axis: int = 1, paths: tuple[float, float] = (1, 1)
) -> tuple[Array, Array, Array]:
    """Return the gradients of x, w and b; the last two arguments plant mistakes."""
    mean, variance = x.mean(1, keepdims=True), x.var(1, keepdims=True)
    std = np.sqrt(variance + 1e-5)
    x_hat, scaled = (x - mean) / std, g * w
    means = [v.mean(axis, keepdims=True) for v in (scaled, scaled * x_hat)]
    dx = (scaled - paths[0] * means[0] - paths[1] * x_hat * means[1]) / std
    return dx, (g * x_hat).sum(0), g.sum(0)


LAYER_NORM = Solution(
    "",
    "layer norm",
    "closed form",
    layer_norm,
    layer_norm_vjp,
    (at((3, 4), (4,), (4,)), at((5, 5), (5,), (5,))),
    _off_centre,
)


def _scale_after(g: Array, x: Array, w: Array, b: Array) -> Any:
    """Take the scale out of the means, as batch normalisation may, but not this one."""
    dx, *_ = layer_norm_vjp(g, x, np.ones_like(w), b)
    return (w * dx, *layer_norm_vjp(g, x, w, b)[1:])


RIGHT = (
    BATCH_NORM,
    BATCH_NORM.but("", "step by step", _step_by_step),
    BATCH_NORM.but("", "the count factored out", _count_factored_out),
    BATCH_NORM.but("", "Jacobian matrices", _projections),
    EVALUATION,
    LAYER_NORM,
)

WRONG = (
    BATCH_NORM.but(
        "B1", "path through the variance dropped", partial(batch_norm_vjp, variance_path=0)
    ),
    BATCH_NORM.but("B2", "path through the mean dropped", partial(batch_norm_vjp, mean_path=0)),
    BATCH_NORM.but(
        "B3", "both paths dropped", partial(batch_norm_vjp, mean_path=0, variance_path=0)
    ),
    BATCH_NORM.but("B4", "sign of the variance's path", partial(batch_norm_vjp, variance_path=-1)),
    BATCH_NORM.but(
        "B5",
        "scale forgotten",
        _changed(lambda dx, dw, db, x, w, eps: (dx / channels(w, x), dw, db)),
    ),
    BATCH_NORM.but(
        "B6",
        "1 / std forgotten",
        _changed(lambda dx, dw, db, x, w, eps: (dx * _std(x, eps), dw, db)),
    ),
    BATCH_NORM.but("B7", "variance of N - 1", _of_n_minus_1),
    BATCH_NORM.but(
        "B8",
        "means over the batch only",
        partial(batch_norm_vjp, average=lambda v: v.mean(0, keepdims=True)),
        _images,
    ),
    BATCH_NORM.but("B9", "eps outside of the root", _eps_outside, _large_eps),
    EVALUATION.but("B15", "training's formula", _training_formula),
    BATCH_NORM.but(
        "B16", "scale's gradient without x_hat", _changed(lambda dx, dw, db, *_: (dx, db, db))
    ),
    BATCH_NORM.but(
        "B18",
        "upstream gradient ignored",
        lambda g, *inputs, **options: batch_norm_vjp(np.ones_like(g), *inputs, **options),
    ),
    BATCH_NORM.but(
        "B19",
        "zeros",
        lambda g, *inputs, **options: tuple(map(np.zeros_like, inputs)),
    ),
    BATCH_NORM.but(
        "", "zeros for the input", _changed(lambda dx, dw, db, *_: (np.zeros_like(dx), dw, db))
    ),
    BATCH_NORM.but(
        "",
        "means over the channels",
        partial(batch_norm_vjp, average=lambda v: v.mean(1, keepdims=True)),
    ),
    BATCH_NORM.but(
        "",
        "sums, not means, in the paths",
        partial(batch_norm_vjp, average=lambda v: v.sum(over(v), keepdims=True)),
    ),
    BATCH_NORM.but(
        "",
        "eps forgotten",
        lambda g, x, w, b, *, eps: batch_norm_vjp(g, x, w, b, eps=0),
        _large_eps,
    ),
    BATCH_NORM.but(
        "",
        "divided by the variance",
        _changed(lambda dx, dw, db, x, w, eps: (dx / _std(x, eps), dw, db)),
    ),
    BATCH_NORM.but(
        "", "shift's gradient averaged", _changed(lambda dx, dw, db, x, *_: (dx, dw, db / len(x)))
    ),
    BATCH_NORM.but(
        "",
        "scale's gradient from x not normalised",
        lambda g, x, w, b, *, eps: (
            batch_norm_vjp(g, x, w, b, eps=eps)[0],
            (g * x).sum(over(x)),
            g.sum(over(x)),
        ),
    ),
    LAYER_NORM.but("", "means over the batch", partial(layer_norm_vjp, axis=0)),
    LAYER_NORM.but("", "path through the variance dropped", partial(layer_norm_vjp, paths=(1, 0))),
    LAYER_NORM.but("", "path through the mean dropped", partial(layer_norm_vjp, paths=(0, 1))),
    LAYER_NORM.but("", "scale outside of the means", _scale_after),
)
