"""Cases of what resizes images, pools them into a grid, or adds up neighbouring channels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minires import ops
from minires.autograd import registry

from .case import Case, Draw


def cases() -> Iterator[Case]:
    """Yield all of them."""
    draw = Draw(6)
    yield from _neighbours(draw)
    yield from _along_an_axis(draw)
    yield from _resized(draw)


def _neighbours(draw: Draw) -> Iterator[Case]:
    for before, after in ((1, 1), (2, 1), (0, 3)):
        yield Case(
            "channel_sums",
            f"{before} before, {after} behind",
            lambda x, before=before, after=after: registry["channel_sums"](
                x, before=before, after=after
            ),
            (draw.normal(3, 4, 2, 2),),
        )
    every: tuple[dict[str, Any], ...] = (
        {"size": 3, "alpha": 0.5},
        {"size": 2, "alpha": 0.3, "beta": 0.5, "k": 2.0, "convention": "sum"},
        {"size": 7, "alpha": 1.0, "beta": 1.5},
    )
    for options in every:
        told = ", ".join(f"{name} {value}" for name, value in options.items())
        yield Case(
            "local_response_norm",
            told,
            lambda x, options=options: ops.local_response_norm(x, **options),
            (draw.normal(3, 4, 2, 1),),
        )


def _along_an_axis(draw: Draw) -> Iterator[Case]:
    index = draw.rng.integers(0, 4, 5)
    matrix = draw.normal(5, 4)
    for dim, shape in ((1, (3, 4, 2)), (2, (3, 2, 4)), (2, (3, 2, 4, 3))):
        about = f"axis {dim} of {shape}"
        yield Case(
            "pick",
            f"{about}, with repetitions",
            lambda x, dim=dim: registry["pick"](x, index=index, dim=dim),
            (draw.normal(*shape),),
        )
        yield Case(
            "mix",
            about,
            lambda x, dim=dim: registry["mix"](x, matrix=matrix, dim=dim),
            (draw.normal(*shape),),
        )


def _resized(draw: Draw) -> Iterator[Case]:
    every: tuple[dict[str, Any], ...] = (
        {"size": (5, 2)},
        {"scale_factor": 2},
        {"size": (4, 5), "mode": "bilinear"},
        {"scale_factor": (1.5, 0.6), "mode": "bilinear"},
        {"size": (5, 2), "mode": "bilinear", "align_corners": True},
    )
    for options in every:
        told = ", ".join(f"{name} {value}" for name, value in options.items())
        yield Case(
            "mix" if "mode" in options else "pick",
            f"interpolate, {told}",
            lambda x, options=options: ops.interpolate(x, **options),
            (draw.normal(2, 2, 3, 4),),
        )
    for parts in ((2, 3), (4, 1)):
        yield Case(
            "mix",
            f"adaptive mean, {parts}",
            lambda x, parts=parts: ops.adaptive_avg_pool2d(x, parts),
            (draw.normal(2, 2, 3, 4),),
        )
        yield Case(
            "gather",
            f"adaptive maximum, {parts}",
            lambda x, parts=parts: ops.adaptive_max_pool2d(x, parts),
            (draw.apart(2, 2, 3, 4),),
        )
