"""Cases of matrix products, reductions, softmaxes and the cross-entropy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minires import ops
from minires.autograd import registry

from .case import Case, Draw


def cases() -> Iterator[Case]:
    """Yield all of them."""
    draw = Draw(3)
    for a, b in (
        ((3, 4), (4, 2)),
        ((3, 2, 4), (4, 2)),
        ((2, 3, 4), (2, 4, 2)),
        ((3, 1, 2, 4), (2, 4, 1)),
        ((4,), (4, 2)),
        ((3, 4), (4,)),
        ((4,), (4,)),
    ):
        yield Case("matmul", f"{a} by {b}", ops.matmul, (draw.normal(*a), draw.normal(*b)))
    weight, bias = draw.normal(2, 4), draw.normal(2)
    yield Case("linear", "with a bias", ops.linear, (draw.normal(3, 4), weight, bias))
    yield Case("linear", "no bias, 3 dimensions", ops.linear, (draw.normal(3, 2, 4), weight))
    yield Case("linear", "one row", ops.linear, (draw.normal(4), weight, bias))
    for equation, shapes in {
        "ij,jk->ik": ((3, 4), (4, 2)),
        "bij,bjk->bki": ((2, 3, 4), (2, 4, 2)),
        "...ij,jk->...ik": ((2, 3, 4), (4, 2)),
        "ij->j": ((3, 4),),
        "ii->i": ((3, 3),),
        "i,j->ij": ((3,), (4,)),
        "ij,ij,j->i": ((3, 4), (3, 4), (4,)),
        "ij,k->kij": ((3, 2), (4,)),
    }.items():
        yield Case(
            "einsum",
            equation,
            lambda *xs, equation=equation: ops.einsum(equation, *xs),
            tuple(draw.normal(*shape) for shape in shapes),
        )
    yield from _reductions(draw)
    yield from _softmaxes(draw)


def _reductions(draw: Draw) -> Iterator[Case]:
    places: tuple[tuple[Any, bool], ...] = ((None, False), (1, False), (-1, True), ((0, 2), True))
    for name in ("sum", "mean", "logsumexp", "amax", "amin"):
        run, values = getattr(ops, name), draw.apart if name in ("amax", "amin") else draw.normal
        for dim, keepdim in places:
            yield Case(
                name,
                f"over {'all' if dim is None else dim}{', kept' if keepdim else ''}",
                lambda x, run=run, dim=dim, keepdim=keepdim: run(x, dim, keepdim),
                (values(3, 2, 4),),
            )
    for name in ("var", "std"):
        run = getattr(ops, name)
        for correction, (dim, keepdim) in zip((0, 1, 0, 1), places, strict=True):
            yield Case(
                name,
                f"over {'all' if dim is None else dim}, correction {correction}",
                lambda x, run=run, dim=dim, c=correction, k=keepdim: run(x, dim, c, k),
                (draw.normal(3, 2, 4),),
            )


def _softmaxes(draw: Draw) -> Iterator[Case]:
    for name in ("softmax", "log_softmax"):
        run = getattr(ops, name)
        for dim in (0, 1, -1):
            yield Case(
                name,
                f"along axis {dim}",
                lambda x, run=run, dim=dim: run(x, dim),
                (draw.normal(3, 2, 4),),
            )
    labels = draw.rng.integers(0, 4, 5)
    for smoothing in (0.0, 0.3):
        yield Case(
            "cross_entropy",
            f"label smoothing {smoothing}",
            lambda x, smoothing=smoothing: registry["cross_entropy"](
                x, target=labels, label_smoothing=smoothing
            ),
            (draw.normal(5, 4),),
        )
    weight = draw.positive(4)
    places = draw.rng.integers(0, 4, (3, 2))
    places[0, 1] = -100
    yield Case(
        "cross_entropy",
        "weighted classes, 2 places for each image, one of them without a label",
        lambda x: ops.cross_entropy(x, places, weight, label_smoothing=0.3),
        (draw.normal(3, 4, 2),),
    )
    yield Case(
        "cross_entropy",
        "the mean of a batch",
        lambda x: ops.cross_entropy(x, labels),
        (draw.normal(5, 4),),
    )
    soft = draw.positive(5, 4)
    # Of soft labels the loss is spelled out, and this is the op that has the work.
    yield Case(
        "log_softmax",
        "cross-entropy with soft labels, smoothed, of weighted classes",
        lambda x, target: ops.cross_entropy(x, target, weight, label_smoothing=0.3),
        (draw.normal(5, 4), soft),
    )
