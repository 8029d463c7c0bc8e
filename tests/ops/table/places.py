"""Rows of the ops that move, repeat, join and choose values."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.extra.numpy import basic_indices

import minires as mr
from minires.autograd import registry

from .case import Case, Dice, Row, beside


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


def transpose(dice: Dice) -> Case:
    shape = dice.shape()
    axes = dice.axis(max(len(shape), 1)), dice.axis(max(len(shape), 1))
    return Case(
        lambda x: x.transpose(*axes),
        (dice.normal(*shape),),
        lambda x: x.swapaxes(*axes) if shape else x,
        lambda t, x: x.transpose(*axes),
    )


def flatten(dice: Dice) -> Case:
    shape = dice.shape()
    start, end = sorted([dice.number(0, max(len(shape) - 1, 0)) for _ in range(2)])
    joined = int(np.prod(shape[start : end + 1]))
    return Case(
        lambda x: x.flatten(start, end - max(len(shape), 1)),
        (dice.normal(*shape),),
        lambda x: x.reshape(*shape[:start], joined, *shape[end + 1 :]),
        lambda t, x: x.flatten(start, end),
    )


def squeeze(dice: Dice) -> Case:
    shape = tuple(dice.choose(1, 1, 2, 0) for _ in range(dice.number(0, 3)))
    dim = dice.axes(len(shape))
    asked = range(len(shape)) if dim is None else np.atleast_1d(dim) % len(shape)
    dropped = tuple(axis for axis in asked if shape[axis] == 1)
    return Case(
        lambda x: x.squeeze(dim),
        (dice.normal(*shape),),
        lambda x: x.squeeze(dropped),
        lambda t, x: x.squeeze(*() if dim is None else (dim,)),
    )


def unsqueeze(dice: Dice) -> Case:
    shape = dice.shape()
    dim = dice.axis(len(shape) + 1)
    return Case(
        lambda x: x.unsqueeze(dim),
        (dice.normal(*shape),),
        lambda x: np.expand_dims(x, dim),
        lambda t, x: x.unsqueeze(dim),
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

    def run(v: mr.Tensor) -> mr.Tensor:
        return registry["putitem"](v, index=beside(v, index), shape=shape)

    return Case(run, (values,), reference)


def gather_places(dice: Dice) -> tuple[tuple[int, ...], int, np.ndarray]:
    shape = dice.shape(least_dims=1, least=1)
    dim = dice.number(0, len(shape) - 1)
    picked = (*shape[:dim], dice.number(0, 4), *shape[dim + 1 :])
    return shape, dim, dice.rng.integers(0, shape[dim], picked)


def gather(dice: Dice) -> Case:
    shape, dim, index = gather_places(dice)
    return Case(
        lambda x: x.gather(dim, mr.tensor(index, device=x.device)),
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
        lambda v: registry["scatter_add"](v, dim=dim, index=beside(v, index), shape=shape),
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
    # A width below 0 takes away; from lengths of 0 to 3 that may be too much.
    widths = [dice.number(-1, 2) for _ in range(2 * count)]
    value = dice.choose(0.0, -1.5)
    pairs = [(0, 0)] * (len(shape) - count)
    pairs += [(widths[2 * i], widths[2 * i + 1]) for i in reversed(range(count))]
    lost = [max(-before, 0) + max(-after, 0) for before, after in pairs]
    assume(all(n >= less for n, less in zip(shape, lost, strict=True)))
    added = [(max(before, 0), max(after, 0)) for before, after in pairs]

    def reference(x: np.ndarray) -> np.ndarray:
        kept = (slice(max(-b, 0), n + min(a, 0)) for n, (b, a) in zip(shape, pairs, strict=True))
        return np.pad(x[tuple(kept)], added, constant_values=value)

    return Case(
        lambda x: mr.ops.pad(x, widths, value=value),
        (dice.normal(*shape),),
        reference,
        lambda t, x: t.nn.functional.pad(x, widths, value=value),
    )


def pad_with_own_values(dice: Dice) -> Case:
    shape = dice.shape(least_dims=1, least=1)
    mode, theirs = dice.choose(("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap"))
    # Widths of the last axes, last one first.
    most = [{"reflect": n - 1, "replicate": 4, "circular": n}[mode] for n in reversed(shape)]
    count = dice.number(1, len(shape))
    widths = [dice.number(0, most[i // 2]) for i in range(2 * count)]
    pairs = [(0, 0)] * (len(shape) - count)
    pairs += [(widths[2 * i], widths[2 * i + 1]) for i in reversed(range(count))]

    def torch(t: Any, x: Any) -> Any:
        # It frames the last axes only of what has one or two axes before them.
        images = x.reshape(1, -1, *x.shape[len(shape) - count :])
        framed = t.nn.functional.pad(images, widths, mode)
        return framed.reshape(*x.shape[: len(shape) - count], *framed.shape[2:])

    return Case(
        lambda x: mr.ops.pad(x, widths, mode),
        (dice.normal(*shape),),
        lambda x: np.pad(x, pairs, mode=theirs),
        torch,
    )


ROWS: dict[str, Row] = {
    "reshape": reshape,
    "permute": permute,
    "transpose": transpose,
    "flatten": flatten,
    "squeeze": squeeze,
    "unsqueeze": unsqueeze,
    "flip": flip,
    "broadcast_to": broadcast_to,
    "getitem": getitem,
    "putitem": putitem,
    "gather": gather,
    "scatter_add": scatter_add,
    "concatenate": concatenate,
    "stack": stack,
    "pad": pad,
    "pad, with own values": pad_with_own_values,
}
