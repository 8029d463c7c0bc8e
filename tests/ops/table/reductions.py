"""Rows of reductions, and of functions along one axis."""

from __future__ import annotations

from typing import Any

import numpy as np

import minires as mr

from .case import Case, Dice, Row


def reduction(run: Any, reference: Any, torch: Any, values: str = "normal", least: int = 0) -> Row:
    """A reduction over one axis, several or all; `least` is the shortest axis it takes."""

    def row(dice: Dice) -> Case:
        shape = dice.shape(least=least)
        dim, keepdim = dice.axes(len(shape)), dice.flag()
        every = tuple(range(len(shape))) if dim is None else dim
        return Case(
            lambda x: run(x, dim, keepdim),
            (getattr(dice, values)(*shape),),
            lambda x: reference(x, every, keepdim),
            lambda t, x: torch(t, x, every, keepdim) if shape else torch(t, x, (), keepdim),
        )

    return row


def spread(run: Any, reference: Any, torch: Any) -> Row:
    """Variance and its root, over at least two values."""

    def row(dice: Dice) -> Case:
        shape = dice.shape(least_dims=1, least=2)
        dim, keepdim, correction = dice.axes(len(shape)), dice.flag(), dice.number(0, 1)
        every = tuple(range(len(shape))) if dim is None else dim
        return Case(
            lambda x: run(x, dim, correction, keepdim),
            (dice.normal(*shape),),
            lambda x: reference(x, every, ddof=correction, keepdims=keepdim),
            lambda t, x: torch(t, x, dim=every, correction=correction, keepdim=keepdim),
        )

    return row


def extreme_along(name: str) -> Row:
    """``max(dim)``, ``min(dim)``: values only, for positions have no gradient."""

    def row(dice: Dice) -> Case:
        shape = dice.shape(least_dims=1, least=1)
        dim, keepdim = dice.axis(len(shape)), dice.flag()
        return Case(
            lambda x: getattr(x, name)(dim, keepdim).values,
            (dice.apart(*shape),),
            lambda x: getattr(np, name)(x, dim, keepdims=keepdim),
            lambda t, x: getattr(x, name)(dim, keepdim).values,
        )

    return row


def along(run: Any, reference: Any, torch: Any) -> Row:
    """A function along one axis that keeps the shape."""

    def row(dice: Dice) -> Case:
        shape = dice.shape(least_dims=1)
        dim = dice.axis(len(shape))
        return Case(
            lambda x: run(x, dim),
            (dice.normal(*shape),),
            lambda x: reference(x, dim),
            lambda t, x: torch(t)(x, dim),
        )

    return row


def logsumexp(x: np.ndarray, dim: Any, keepdim: bool) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(np.exp(x).sum(dim, keepdims=keepdim))


def softmax(x: np.ndarray, dim: int) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum(dim, keepdims=True)


ROWS: dict[str, Row] = {
    "sum": reduction(
        mr.sum, lambda x, d, k: x.sum(d, keepdims=k), lambda t, x, d, k: x.sum(d, keepdim=k)
    ),
    "mean": reduction(
        mr.mean,
        lambda x, d, k: x.mean(d, keepdims=k),
        lambda t, x, d, k: x.mean(d, keepdim=k),
        least=1,
    ),
    "var": spread(mr.ops.var, np.var, lambda t, x, **options: x.var(**options)),
    "std": spread(mr.ops.std, np.std, lambda t, x, **options: x.std(**options)),
    "logsumexp": reduction(
        mr.ops.logsumexp, logsumexp, lambda t, x, d, k: t.logsumexp(x, d, k), least=1
    ),
    "amax": reduction(
        mr.ops.amax,
        lambda x, d, k: x.max(d, keepdims=k),
        lambda t, x, d, k: x.amax(d, k),
        "apart",
        least=1,
    ),
    "amin": reduction(
        mr.ops.amin,
        lambda x, d, k: x.min(d, keepdims=k),
        lambda t, x, d, k: x.amin(d, k),
        "apart",
        least=1,
    ),
    "max along": extreme_along("max"),
    "min along": extreme_along("min"),
    "softmax": along(mr.ops.softmax, softmax, lambda t: t.nn.functional.softmax),
    "log_softmax": along(
        mr.ops.log_softmax,
        lambda x, d: np.log(softmax(x, d)),
        lambda t: t.nn.functional.log_softmax,
    ),
}
