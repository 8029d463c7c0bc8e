"""Rows of reductions, and of the ops that move, join and choose values."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import basic_indices

import minires as mr
from minires.autograd import registry

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


def reshape(dice: Dice) -> Case:
    shape = dice.shape()
    size = int(np.prod(shape))
    wanted = dice.choose((size,), (1, size), (-1, 1) if size else (size, 2), tuple(shape[::-1]))
    return Case(
        lambda x: x.reshape(*wanted),
        (dice.normal(*shape),),
        lambda x: x.reshape(wanted),
        lambda t, x: x.reshape(wanted),
    )


def permute(dice: Dice) -> Case:
    shape = dice.shape()
    order = tuple(dice.draw(st.permutations(range(len(shape)))))
    order = tuple(axis - len(shape) if dice.flag() else axis for axis in order)
    return Case(
        lambda x: x.permute(order),
        (dice.normal(*shape),),
        lambda x: x.transpose(order),
        lambda t, x: x.permute(order),
    )


def flip(dice: Dice) -> Case:
    shape = dice.shape(least_dims=1)
    dims = dice.axes(len(shape)) or 0
    several = dims if isinstance(dims, tuple) else (dims,)
    return Case(
        lambda x: x.flip(dims),
        (dice.normal(*shape),),
        lambda x: np.flip(x, dims),
        lambda t, x: x.flip(several),
    )


def broadcast_to(dice: Dice) -> Case:
    own, other = dice.shapes(2)
    wanted = (2, *np.broadcast_shapes(own, other))
    return Case(
        lambda x: x.expand(wanted),
        (dice.normal(*own),),
        lambda x: np.broadcast_to(x, wanted),
        lambda t, x: x.expand(wanted),
    )


def advanced_index(dice: Dice, shape: tuple[int, ...]) -> Any:
    """Positions with repetitions, a mask, or positions beside slices."""
    rows = dice.rng.integers(-shape[0], shape[0], dice.shape(1, 2, least=0))
    mask = dice.normal(*shape) > 0
    beside = (slice(None, None, -1), dice.rng.integers(0, shape[-1], 3))
    paired = tuple(dice.rng.integers(0, n, 4) for n in shape)
    return dice.choose(rows, mask, paired, *([beside] if len(shape) == 2 else []))


def getitem(dice: Dice) -> Case:
    if dice.flag():
        shape = dice.shape()
        index = dice.draw(basic_indices(shape, allow_newaxis=True))
    else:
        shape = dice.shape(least_dims=1, least=1)
        index = advanced_index(dice, shape)
    return Case(lambda x: x[index], (dice.normal(*shape),), lambda x: x[index], None)


def putitem(dice: Dice) -> Case:
    shape = dice.shape(least_dims=1, least=1)
    index = dice.choose(advanced_index(dice, shape), slice(None, None, 2), (..., 0))
    values = dice.normal(*np.zeros(shape)[index].shape)

    def reference(values: np.ndarray) -> np.ndarray:
        positions = np.arange(np.prod(shape)).reshape(shape)[index]
        total = np.zeros(shape)
        for position, value in zip(positions.ravel(), values.ravel(), strict=True):
            total.flat[position] += value
        return total

    return Case(lambda v: registry["putitem"](v, index=index, shape=shape), (values,), reference)


def gather_places(dice: Dice) -> tuple[tuple[int, ...], int, np.ndarray]:
    shape = dice.shape(least_dims=1, least=1)
    dim = dice.number(0, len(shape) - 1)
    picked = (*shape[:dim], dice.number(0, 4), *shape[dim + 1 :])
    return shape, dim, dice.rng.integers(0, shape[dim], picked)


def gather(dice: Dice) -> Case:
    shape, dim, index = gather_places(dice)
    return Case(
        lambda x: x.gather(dim, mr.tensor(index)),
        (dice.normal(*shape),),
        lambda x: np.take_along_axis(x, index, dim),
        lambda t, x: x.gather(dim, t.tensor(index)),
    )


def scatter_add(dice: Dice) -> Case:
    shape, dim, index = gather_places(dice)

    def reference(values: np.ndarray) -> np.ndarray:
        total = np.zeros(shape)
        for place in np.ndindex(index.shape):
            total[(*place[:dim], index[place], *place[dim + 1 :])] += values[place]
        return total

    return Case(
        lambda v: registry["scatter_add"](v, dim=dim, index=index, shape=shape),
        (dice.normal(*index.shape),),
        reference,
        lambda t, v: t.zeros(shape, dtype=v.dtype).scatter_add(dim, t.tensor(index), v),
    )


def concatenate(dice: Dice) -> Case:
    shape = dice.shape(least_dims=1)
    dim = dice.axis(len(shape))
    parts = []
    for _ in range(dice.number(1, 3)):
        part = list(shape)
        part[dim] = dice.number(0, 3)
        parts.append(dice.normal(*part))
    return Case(
        lambda *xs: mr.concatenate(xs, dim),
        tuple(parts),
        lambda *xs: np.concatenate(xs, dim),
        lambda t, *xs: t.cat(xs, dim),
    )


def stack(dice: Dice) -> Case:
    shape = dice.shape()
    dim = dice.axis(len(shape) + 1)
    return Case(
        lambda *xs: mr.stack(xs, dim),
        tuple(dice.normal(*shape) for _ in range(dice.number(1, 3))),
        lambda *xs: np.stack(xs, dim),
        lambda t, *xs: t.stack(xs, dim),
    )


def pad(dice: Dice) -> Case:
    shape = dice.shape(least_dims=1)
    count = dice.number(1, len(shape))
    widths = [dice.number(0, 2) for _ in range(2 * count)]
    value = dice.choose(0.0, -1.5)
    pairs = [(0, 0)] * (len(shape) - count)
    pairs += [(widths[2 * i], widths[2 * i + 1]) for i in reversed(range(count))]
    return Case(
        lambda x: mr.ops.pad(x, widths, value=value),
        (dice.normal(*shape),),
        lambda x: np.pad(x, pairs, constant_values=value),
        lambda t, x: t.nn.functional.pad(x, widths, value=value),
    )


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
    "reshape": reshape,
    "permute": permute,
    "flip": flip,
    "broadcast_to": broadcast_to,
    "getitem": getitem,
    "putitem": putitem,
    "gather": gather,
    "scatter_add": scatter_add,
    "concatenate": concatenate,
    "stack": stack,
    "pad": pad,
}
