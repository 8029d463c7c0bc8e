"""Cases of the ops that move, repeat, join and choose values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minires import ops
from minires.autograd import registry

from .case import Case, Draw


def cases() -> Iterator[Case]:
    """Yield all of them."""
    draw = Draw(2)
    x, image = draw.normal(3, 2, 4), draw.normal(3, 2, 4, 3)
    for shape in ((4, 6), (24,), (2, 1, -1)):
        yield Case("reshape", f"to {shape}", lambda x, shape=shape: x.reshape(*shape), (x,))
    yield Case("permute", "3 axes in a ring", lambda x: x.permute(2, 0, 1), (x,))
    yield Case("permute", "channels last", lambda x: x.permute(0, 2, 3, 1), (image,))
    yield Case("permute", "transposed", lambda x: x.T, (draw.normal(3, 4),))
    for dims in (1, (0, 2)):
        yield Case("flip", f"along {dims}", lambda x, dims=dims: x.flip(dims), (x,))
    for own, wanted in (((3, 1), (2, 3, 4)), ((4,), (3, 4)), ((), (2, 3))):
        yield Case(
            "broadcast_to",
            f"{own} to {wanted}",
            lambda x, wanted=wanted: x.expand(wanted),
            (draw.normal(*own),),
        )
    yield from _indexing(draw)
    yield from _selection(draw)
    yield from _joining(draw)


def _indexing(draw: Draw) -> Iterator[Case]:
    rows = np.array([0, 2, 2, -1])
    indices: dict[str, Any] = {
        "a slice with steps": (slice(None, None, 2), slice(3, 0, -1)),
        "numbers and new axes": (1, None, ..., 2),
        "rows, one of them twice": rows,
        "pairs of positions, one of them twice": (rows, np.array([1, 3, 3, 0])),
        "positions beside a slice": (slice(None, None, -1), rows),
        "a mask": draw.normal(3, 4) > 0,
    }
    for about, index in indices.items():
        x = draw.normal(3, 4)
        yield Case("getitem", about, lambda x, index=index: x[index], (x,))
        yield Case(
            "putitem",
            about,
            lambda v, index=index: registry["putitem"](v, index=index, shape=(3, 4)),
            (draw.normal(*x[index].shape),),
        )


def _selection(draw: Draw) -> Iterator[Case]:
    for dim, picked in ((0, (5, 4)), (1, (3, 6))):
        index = draw.rng.integers(0, (3, 4)[dim], picked)
        about = f"along axis {dim}, with repetitions"
        yield Case(
            "gather",
            about,
            lambda x, dim=dim, index=index: registry["gather"](x, dim=dim, index=index),
            (draw.normal(3, 4),),
        )
        yield Case(
            "scatter_add",
            about,
            lambda v, dim=dim, index=index: registry["scatter_add"](
                v, dim=dim, index=index, shape=(3, 4)
            ),
            (draw.normal(*picked),),
        )


def _joining(draw: Draw) -> Iterator[Case]:
    parts = draw.normal(3, 2), draw.normal(3, 1), draw.normal(3, 3)
    yield Case("concatenate", "3 of unequal length", lambda *xs: ops.cat(xs, 1), parts)
    yield Case(
        "concatenate",
        "one of them twice",
        lambda x, y: ops.cat([x, y, x]),
        (parts[0], parts[0] + 1),
    )
    for mode in ("reflect", "replicate", "circular"):
        yield Case(
            "getitem",
            f"framed by itself, {mode}",
            lambda x, mode=mode: ops.pad(x, (2, 1, 1, 0), mode),
            (draw.normal(2, 3, 3),),
        )
    for widths, value in (((1, 2), 0.0), ((0, 1, 2, 0), -1.5), ((1, 1, 1, 1), 0.0), ((-1, 2), 0.0)):
        yield Case(
            "pad",
            f"by {widths} with {value}",
            lambda x, widths=widths, value=value: ops.pad(x, widths, value=value),
            (draw.normal(3, 2, 3),),
        )
