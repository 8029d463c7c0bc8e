"""Pooling of images, (N, C, H, W): who gets the gradient, and how much of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .solution import Array, Geometry, Solution, at

Size = tuple[int, int]


def windows(x: Array, kernel: Size, stride: Size) -> Iterator[tuple[int, int, Any]]:
    """Visit the windows: the output's row and column, and an index into x."""
    rows = range(0, x.shape[2] - kernel[0] + 1, stride[0])
    columns = range(0, x.shape[3] - kernel[1] + 1, stride[1])
    for i, top in enumerate(rows):
        for j, left in enumerate(columns):
            window = (slice(top, top + kernel[0]), slice(left, left + kernel[1]))
            yield i, j, (slice(None), slice(None), *window)


def pool(x: Array, kernel: Size, stride: Size, reduce: Callable[[Array], Array]) -> Array:
    """Reduce the windows, each (N, C, KH*KW), to (N, C)."""
    pooled = {
        (i, j): reduce(x[window].reshape(*x.shape[:2], -1))
        for i, j, window in windows(x, kernel, stride)
    }
    oh, ow = max(pooled)
    return np.stack([np.stack([pooled[i, j] for j in range(ow + 1)], 2) for i in range(oh + 1)], 2)


def max_pool(x: Array, *, kernel: Size, stride: Size) -> Array:
    """Return the windows' largest entries."""
    return pool(x, kernel, stride, lambda window: window.max(2))


def average_pool(x: Array, *, kernel: Size, stride: Size) -> Array:
    """Return the windows' means."""
    return pool(x, kernel, stride, lambda window: window.mean(2))


def max_pool_vjp(g: Array, x: Array, *, kernel: Size, stride: Size, assign: bool = False) -> Array:
    """Give each window's gradient to its largest entry."""
    dx = np.zeros_like(x)
    for i, j, window in windows(x, kernel, stride):
        share = (x[window] == x[window].max((2, 3), keepdims=True)) * g[:, :, i, j, None, None]
        dx[window] = share + (0 if assign else dx[window])
    return dx


def average_pool_vjp(
    g: Array, x: Array, *, kernel: Size, stride: Size, count: int = 0, assign: bool = False
) -> Array:
    """Give each window's gradient to all its entries, in equal parts of 1 / count."""
    dx = np.zeros_like(x)
    for i, j, window in windows(x, kernel, stride):
        share = g[:, :, i, j, None, None] / (count or kernel[0] * kernel[1])
        dx[window] = share + (0 if assign else dx[window])
    return dx


GEOMETRIES = (
    at((2, 2, 4, 6), kernel=(2, 2), stride=(2, 2)),
    at((2, 1, 5, 4), kernel=(3, 2), stride=(2, 1)),
    at((3, 1, 4, 5), kernel=(3, 3), stride=(1, 2)),
)
MAX = Solution("", "max pooling", "by mask", max_pool, max_pool_vjp, GEOMETRIES)
AVERAGE = Solution("", "average pooling", "by windows", average_pool, average_pool_vjp, GEOMETRIES)
GLOBAL = Solution(
    "",
    "global average pooling",
    "broadcast view",
    lambda x: x.mean((2, 3)),
    lambda g, x: np.broadcast_to(g[:, :, None, None] / x[0, 0].size, x.shape),
    (at((2, 3, 3, 2)), at((3, 2, 2, 4))),
)


def _by_argmax(
    g: Array, x: Array, *, kernel: Size, stride: Size, columns_first: bool = False
) -> Array:
    """Add at the winners' places, found by division of their flat index."""
    dx = np.zeros_like(x)
    for i, j, window in windows(x, kernel, stride):
        values = x[window]
        for n, c in np.ndindex(*x.shape[:2]):
            winner = int(values[n, c].argmax())
            place = divmod(winner, kernel[1])
            if columns_first:
                place = (winner % kernel[0], winner // kernel[0])
            dx[window][(n, c, *place)] += g[n, c, i, j]
    return dx


def _overlapping(geometry: Geometry) -> bool:
    kernel, stride = geometry.options["kernel"], geometry.options["stride"]
    return bool(kernel[0] > stride[0] or kernel[1] > stride[1])


def _to_all(g: Array, x: Array, **o: Any) -> Array:
    return average_pool_vjp(g, x, **o, count=1)


def _winner_of_the_image(g: Array, x: Array, *, kernel: Size, stride: Size) -> Array:
    everywhere = np.broadcast_to(g.sum((2, 3), keepdims=True), x.shape)
    return np.where(x == x.max((2, 3), keepdims=True), everywhere, 0)


RIGHT = (
    MAX,
    MAX.but("", "by argmax", _by_argmax),
    AVERAGE,
    GLOBAL,
)

WRONG = (
    MAX.but("", "to every entry", _to_all),
    MAX.but("", "shared out as an average", lambda g, x, **o: average_pool_vjp(g, x, **o)),
    MAX.but(
        "",
        "overlaps assigned, not added",
        lambda g, x, **o: max_pool_vjp(g, x, **o, assign=True),
        _overlapping,
    ),
    MAX.but(
        "",
        "rows and columns exchanged",
        lambda g, x, **o: _by_argmax(g, x, **o, columns_first=True),
    ),
    MAX.but("", "to the winner of the whole image", _winner_of_the_image),
    AVERAGE.but("", "not divided", _to_all),
    AVERAGE.but(
        "",
        "divided by one side",
        lambda g, x, *, kernel, stride: average_pool_vjp(
            g, x, kernel=kernel, stride=stride, count=kernel[1]
        ),
    ),
    AVERAGE.but(
        "",
        "overlaps assigned, not added",
        lambda g, x, **o: average_pool_vjp(g, x, **o, assign=True),
        _overlapping,
    ),
    GLOBAL.but("", "not divided", lambda g, x: np.broadcast_to(g[:, :, None, None], x.shape)),
    GLOBAL.but(
        "",
        "divided by all entries",
        lambda g, x: np.broadcast_to(g[:, :, None, None] / x.size, x.shape),
    ),
)
