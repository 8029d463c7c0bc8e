"""The residual block, relu(shortcut(x) + relu(convolution(x, w))), and the addition alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .convolution import correlate, input_gradient, weight_gradient
from .solution import Array, Geometry, Solution, at

# A 3x3 convolution keeps the image's size, but for the stride.
_PADDING = (1, 1)


class Activations(NamedTuple):
    """What the forward pass of a block computes on its way."""

    shortcut: Array
    before: Array  # the convolution's output
    branch: Array
    joined: Array


def subsampled(x: Array, channels: int, stride: int) -> Array:
    """Return the shortcut without parameters: every stride-th pixel, and channels of zeros."""
    x = x[:, :, ::stride, ::stride]
    return np.pad(x, [(0, 0), (0, channels - x.shape[1]), (0, 0), (0, 0)])


def activations(x: Array, w: Array, *projection: Array, stride: int) -> Activations:
    """Run a block as far as its last ReLU."""
    if projection:
        shortcut = correlate(x, projection[0], (stride, stride), (0, 0))
    else:
        shortcut = subsampled(x, len(w), stride)
    before = correlate(x, w, (stride, stride), _PADDING)
    branch = np.maximum(before, 0)
    return Activations(shortcut, before, branch, shortcut + branch)


def block(x: Array, w: Array, *projection: Array, stride: int) -> Array:
    """Return a block's output."""
    return np.maximum(activations(x, w, *projection, stride=stride).joined, 0)


def through_shortcut(g: Array, x: Array, *projection: Array, stride: int) -> tuple[Array, ...]:
    """Return the gradients of x, and of the projection, if there is one."""
    if projection:
        geometry = ((stride, stride), (0, 0))
        (p,) = projection
        return input_gradient(g, x, p, *geometry), weight_gradient(g, x, p, *geometry)
    dx = np.zeros_like(x)
    dx[:, :, ::stride, ::stride] = g[:, : x.shape[1]]
    return (dx,)


def through_branch(g: Array, x: Array, w: Array, stride: int) -> tuple[Array, Array]:
    """Return the gradients of x and w, given that of the convolution's output."""
    geometry = ((stride, stride), _PADDING)
    return input_gradient(g, x, w, *geometry), weight_gradient(g, x, w, *geometry)


def block_vjp(
    g: Array,
    x: Array,
    w: Array,
    *projection: Array,
    stride: int,
    shortcut: float = 1.0,
    branch: float = 1.0,
    outer: Callable[[Activations], Array] = lambda a: a.joined > 0,
    inner: Callable[[Activations], Array] = lambda a: a.before > 0,
    spread: Callable[..., tuple[Array, ...]] = through_shortcut,
) -> tuple[Array, ...]:
    """Return the gradients of x, w and the projection; the last five arguments plant mistakes."""
    a = activations(x, w, *projection, stride=stride)
    g = g * outer(a)
    dx, dw = through_branch(g * inner(a), x, w, stride)
    dx_shortcut, *rest = spread(g, x, *projection, stride=stride)
    return (shortcut * dx_shortcut + branch * dx, dw, *rest)


IDENTITY = (
    at((2, 2, 3, 4), (2, 2, 3, 3), stride=1),
    at((3, 1, 4, 3), (1, 1, 3, 3), stride=1),
)
SUBSAMPLED = (
    at((2, 2, 4, 5), (2, 2, 3, 3), stride=2),
    at((2, 1, 5, 4), (3, 1, 3, 3), stride=2),
)
PROJECTED = (
    at((2, 2, 4, 5), (3, 2, 3, 3), (3, 2, 1, 1), stride=2),
    at((2, 3, 3, 4), (2, 3, 3, 3), (2, 3, 1, 1), stride=1),
)
BLOCK = Solution(
    "",
    "residual block",
    "closed form",
    block,
    block_vjp,
    (*IDENTITY, *SUBSAMPLED, *PROJECTED),
)
ADD = Solution(
    "",
    "residual addition",
    "one array for both",
    lambda shortcut, branch: shortcut + branch,
    lambda g, shortcut, branch: (g, g),
    (at((2, 3, 2, 2), (2, 3, 2, 2)), at((4, 3), (4, 3))),
)


def _has_projection(geometry: Geometry) -> bool:
    return geometry in PROJECTED


def _no_projection(geometry: Geometry) -> bool:
    return geometry not in PROJECTED


def _is_subsampled(geometry: Geometry) -> bool:
    return geometry in SUBSAMPLED


def _more_channels(geometry: Geometry) -> bool:
    return geometry in SUBSAMPLED and geometry.shapes[0][1] < geometry.shapes[1][0]


def _same_channels(geometry: Geometry) -> bool:
    """Leave out channels without a shortcut, where the two ReLUs have one mask."""
    return not _more_channels(geometry)


def _detached(g: Array, x: Array, *projection: Array, stride: int) -> tuple[Array, ...]:
    return (np.zeros_like(x), *map(np.zeros_like, projection))


def _projection_forgotten(g: Array, x: Array, *projection: Array, stride: int) -> Any:
    dx, dp = through_shortcut(g, x, *projection, stride=stride)
    return dx, np.zeros_like(dp)


def _wrong_phase(g: Array, x: Array, stride: int) -> Any:
    dx, g = np.zeros_like(x), g[:, : x.shape[1]]
    there = dx[:, :, 1::stride, 1::stride]
    there[...] = g[:, :, : there.shape[2], : there.shape[3]]
    return (dx,)


def _repeated(g: Array, x: Array, stride: int) -> Any:
    larger = g[:, : x.shape[1]].repeat(stride, 2).repeat(stride, 3)
    return (larger[:, :, : x.shape[2], : x.shape[3]],)


def _last_channels(g: Array, x: Array, stride: int) -> Any:
    return through_shortcut(g[:, -x.shape[1] :], x, stride=stride)


def _summed_as_lists(g: Array, x: Array, w: Array, *projection: Array, stride: int) -> Any:
    """Gather both ways' contributions, as an engine does, and sum them last."""
    a = activations(x, w, *projection, stride=stride)
    g = np.where(a.joined > 0, g, 0)
    dx, dw = through_branch(np.where(a.branch > 0, g, 0), x, w, stride)
    dx_shortcut, *rest = through_shortcut(g, x, *projection, stride=stride)
    return (sum([dx_shortcut, dx]), dw, *rest)


RIGHT = (
    BLOCK,
    BLOCK.but("", "masks from the outputs", _summed_as_lists),
    ADD,
    ADD.but("", "a copy for each", lambda g, shortcut, branch: (g.copy(), g.copy())),
    ADD.but("", "read-only views", lambda g, *_: (np.broadcast_to(g, g.shape),) * 2),
)

WRONG = (
    BLOCK.but(
        "R1", "no gradient through the shortcut", partial(block_vjp, shortcut=0), _no_projection
    ),
    BLOCK.but("R2", "shortcut counted twice", partial(block_vjp, shortcut=2)),
    BLOCK.but(
        "R3",
        "shortcut detached, with its projection",
        partial(block_vjp, spread=_detached),
        _has_projection,
    ),
    BLOCK.but(
        "R4",
        "ReLU's mask taken before the addition",
        partial(block_vjp, outer=lambda a: a.before > 0),
        _same_channels,
    ),
    BLOCK.but(
        "R5",
        "projection's gradient missing",
        partial(block_vjp, spread=_projection_forgotten),
        _has_projection,
    ),
    # relu(branch) was saved; `branch += shortcut` writes into it.
    BLOCK.but(
        "R7",
        "in-place addition to a saved activation",
        partial(block_vjp, inner=lambda a: a.joined > 0),
        _same_channels,
    ),
    BLOCK.but("", "no gradient through the branch", partial(block_vjp, branch=0)),
    BLOCK.but(
        "", "last ReLU forgotten", partial(block_vjp, outer=lambda a: np.ones_like(a.joined))
    ),
    BLOCK.but("", "halves for shortcut and branch", partial(block_vjp, shortcut=0.5, branch=0.5)),
    BLOCK.but(
        "",
        "shortcut's pixels at the wrong place",
        partial(block_vjp, spread=_wrong_phase),
        _is_subsampled,
    ),
    BLOCK.but(
        "", "shortcut's pixels repeated", partial(block_vjp, spread=_repeated), _is_subsampled
    ),
    BLOCK.but(
        "",
        "gradient of the wrong channels",
        partial(block_vjp, spread=_last_channels),
        _more_channels,
    ),
    ADD.but("", "nothing for the shortcut", lambda g, a, b: (np.zeros_like(a), g)),
    ADD.but("", "product's gradient", lambda g, a, b: (g * b, g * a)),
)
