"""Rows of what resizes images, pools them into a grid, or adds up neighbouring channels."""

from __future__ import annotations

from typing import Any

import numpy as np

import minires as mr
from minires.autograd import registry
from tests.ops import naive

from .case import Case, Dice, Row, beside


def images(dice: Dice, values: str = "normal", most: int = 5) -> np.ndarray:
    """Small images, of which there may be none."""
    return getattr(dice, values)(dice.number(0, 2), dice.number(1, 2), *dice.pair(1, most))


def adaptive_avg_pool2d(dice: Dice) -> Case:
    out = dice.pair(1, 4)
    x: np.ndarray = dice.normal(dice.number(1, 2), dice.number(1, 2), *dice.pair(1, 5))
    return Case(
        lambda x: mr.ops.adaptive_avg_pool2d(x, out),
        (x,),
        lambda x: naive.adaptive_pool2d(x, out, np.mean),
        lambda t, x: t.nn.functional.adaptive_avg_pool2d(x, out),
    )


def adaptive_max_pool2d(dice: Dice) -> Case:
    out = dice.pair(1, 4)
    return Case(
        lambda x: mr.ops.adaptive_max_pool2d(x, out),
        (images(dice, "apart"),),
        lambda x: naive.adaptive_pool2d(x, out, np.max),
        lambda t, x: t.nn.functional.adaptive_max_pool2d(x, out),
    )


def interpolate(dice: Dice) -> Case:
    """To a size, larger or smaller along either axis, or by a factor for each."""
    options: dict[str, Any] = {"mode": dice.choose("nearest", "bilinear")}
    if options["mode"] == "bilinear":
        options["align_corners"] = dice.flag()
    if dice.flag():
        options["size"] = dice.pair(1, 7)
    else:
        options["scale_factor"] = dice.choose(1.0, 1.1, 1.5, 2.0), dice.choose(1.0, 1.7, 2.3, 3.0)
    return Case(
        lambda x: mr.ops.interpolate(x, **options),
        (images(dice),),
        lambda x: naive.interpolate(x, **options),
        lambda t, x: t.nn.functional.interpolate(x, **options),
    )


def pick(dice: Dice) -> Case:
    shape = dice.shape(least_dims=1, least=1)
    dim = dice.number(0, len(shape) - 1)
    index = dice.rng.integers(0, shape[dim], dice.number(0, 4))
    return Case(
        lambda x: registry["pick"](x, index=beside(x, index), dim=dim),
        (dice.normal(*shape),),
        lambda x: x.take(index, dim),
        lambda t, x: t.index_select(x, dim, t.tensor(index)),
    )


def mix(dice: Dice) -> Case:
    shape = dice.shape(least_dims=1, most_dims=4)
    dim = dice.number(0, len(shape) - 1)
    matrix = dice.normal(dice.number(1, 3), shape[dim])

    def run(x: Any) -> Any:
        return registry["mix"](x, matrix=beside(x, matrix.astype(x.dtype)), dim=dim)

    return Case(
        run,
        (dice.normal(*shape),),
        lambda x: np.moveaxis(np.tensordot(matrix, x, (1, dim)), 0, dim),
        lambda t, x: t.movedim(t.tensordot(t.tensor(matrix), x, ([1], [dim])), 0, dim),
    )


def channel_sums(dice: Dice) -> Case:
    before, after = dice.pair(0, 4)
    shape = dice.number(0, 2), dice.number(1, 5), *dice.shape(most_dims=2)
    return Case(
        lambda x: registry["channel_sums"](x, before=before, after=after),
        (dice.normal(*shape),),
        lambda x: naive.channel_sums(x, before, after),
    )


def local_response_norm(dice: Dice) -> Case:
    size, convention = dice.number(1, 6), dice.choose("mean", "sum")
    alpha, beta, k = dice.choose(0.3, 1.0), dice.choose(0.5, 0.75), dice.choose(1.0, 2.0)
    shape = dice.number(0, 2), dice.number(1, 6), *dice.shape(least_dims=1, most_dims=2)
    # PyTorch knows the mean alone.
    theirs = alpha if convention == "mean" else alpha * size
    return Case(
        lambda x: mr.ops.local_response_norm(x, size, alpha, beta, k, convention=convention),
        (dice.normal(*shape),),
        lambda x: x / (k + theirs / size * naive.around(x * x, size)) ** beta,
        lambda t, x: t.nn.functional.local_response_norm(x, size, theirs, beta, k),
    )


ROWS: dict[str, Row] = {
    "adaptive_avg_pool2d": adaptive_avg_pool2d,
    "adaptive_max_pool2d": adaptive_max_pool2d,
    "interpolate": interpolate,
    "pick": pick,
    "mix": mix,
    "channel_sums": channel_sums,
    "local_response_norm": local_response_norm,
}
