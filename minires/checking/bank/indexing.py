"""Moving entries about: what was put somewhere has to be brought back, and added."""

from __future__ import annotations

from typing import Any

import numpy as np

from .solution import Array, Solution, at, swap

# The row 2 is looked up twice.
_ROWS = [0, 2, 2, 1]
_AXES = (1, 2, 0)
_LOOKUPS = (at((3, 2)), at((4, 3)), at((3, 2, 2)))
_MATRICES = (at((3, 4)), at((4, 3)), at((5, 4)))


def lookup_vjp(g: Array, x: Array) -> Array:
    """Add each row of g where it came from."""
    dx = np.zeros_like(x)
    np.add.at(dx, _ROWS, g)
    return dx


def _lookup_by_matrix(g: Array, x: Array) -> Array:
    return np.asarray(np.tensordot(np.eye(len(x))[_ROWS].T, g, 1))


def _repeats_lost(g: Array, x: Array) -> Array:
    dx = np.zeros_like(x)
    dx[_ROWS] = g
    return dx


def slice_vjp(g: Array, x: Array, start: int = 1) -> Array:
    """Put g into the columns 1 and 2."""
    dx = np.zeros_like(x)
    dx[:, start : start + 2] = g
    return dx


def ordered(x: Array) -> Array:
    """Sort along axis 1."""
    return np.take_along_axis(x, x.argsort(1), 1)


def ordered_vjp(g: Array, x: Array) -> Array:
    """Put every entry of g back to where it was sorted from."""
    dx = np.zeros_like(x)
    np.put_along_axis(dx, x.argsort(1), g, 1)
    return dx


def joined_vjp(g: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Split g at the seam."""
    return g[:, : a.shape[1]], g[:, a.shape[1] :]


def chosen(a: Array, b: Array) -> Array:
    """Return the entries of a and b in turn."""
    return np.where(_turn(a), a, b)


def _turn(x: Array) -> Any:
    return np.arange(x.size).reshape(x.shape) % 2 == 0


LOOKUP = Solution("", "lookup", "add.at", lambda x: x[_ROWS], lookup_vjp, _LOOKUPS)
SLICE = Solution("", "slice", "into zeros", lambda x: x[:, 1:3], slice_vjp, _MATRICES)
# Many permutations of few entries are their own inverse, and hide which of the two was used.
SORT = Solution("", "sort", "put back", ordered, ordered_vjp, (at((4, 6)), at((3, 7))))
JOIN = Solution(
    "",
    "concatenation",
    "split",
    lambda a, b: np.concatenate([a, b], 1),
    joined_vjp,
    (at((3, 2), (3, 2)), at((2, 3), (2, 3))),
)
CHOICE = Solution(
    "",
    "where",
    "two masks",
    chosen,
    lambda g, a, b: (g * _turn(g), g * ~_turn(g)),
    (at((3, 4), (3, 4)), at((5,), (5,))),
)
PERMUTATION = Solution(
    "",
    "permutation of axes",
    "inverse permutation",
    lambda x: x.transpose(_AXES),
    lambda g, x: g.transpose(np.argsort(_AXES)),
    (at((3, 3, 3)), at((2, 2, 2))),
)
RESHAPE = Solution(
    "",
    "flatten",
    "reshape",
    lambda x: x.reshape(len(x), -1),
    lambda g, x: g.reshape(x.shape),
    (at((2, 3, 4)), at((3, 2, 3))),
)
PAD = Solution(
    "", "padding", "slice", lambda x: np.pad(x, 1), lambda g, x: g[1:-1, 1:-1], _MATRICES
)
FLIP = Solution(
    "", "flip", "negative strides", lambda x: x[:, ::-1], lambda g, x: g[:, ::-1], _MATRICES
)
REPEAT = Solution(
    "",
    "repetition",
    "summed",
    lambda x: np.repeat(x, 2, 1),
    lambda g, x: g.reshape(*x.shape, 2).sum(2),
    _MATRICES,
)

RIGHT = (
    *(LOOKUP, SLICE, SORT, JOIN, CHOICE, PERMUTATION, RESHAPE, PAD, FLIP, REPEAT),
    LOOKUP.but("", "by a matrix of ones and zeros", _lookup_by_matrix),
)

WRONG = (
    LOOKUP.but("", "repeated rows assigned, not added", _repeats_lost),
    LOOKUP.but("", "first rows", lambda g, x: np.resize(g, x.shape)),
    SLICE.but("", "one column off", lambda g, x: slice_vjp(g, x, 0)),
    SLICE.but("", "upstream gradient not put back", lambda g, x: g),
    SORT.but("", "not put back", lambda g, x: g),
    SORT.but(
        "",
        "sorted again",
        lambda g, x: np.take_along_axis(g, x.argsort(1), 1),
    ),
    JOIN.but("", "parts exchanged", lambda g, a, b: joined_vjp(g, a, b)[::-1]),
    JOIN.but("", "first part for both", lambda g, a, b: (joined_vjp(g, a, b)[0],) * 2),
    CHOICE.but("", "mask not turned around", swap(CHOICE.vjp, 1, lambda db, g, a, b: g * _turn(g))),
    CHOICE.but("", "no masks", lambda g, a, b: (g, g)),
    PERMUTATION.but("", "permutation not inverted", lambda g, x: g.transpose(_AXES)),
    RESHAPE.but("", "another memory order", lambda g, x: g.reshape(x.shape, order="F")),
    PAD.but("", "sliced at the wrong end", lambda g, x: g[:-2, :-2]),
    FLIP.but("", "not flipped", lambda g, x: g),
    FLIP.but("", "other axis flipped", lambda g, x: g[::-1]),
    REPEAT.but("", "first copy only", lambda g, x: g[:, ::2]),
    REPEAT.but("", "as if tiled", lambda g, x: g[:, : x.shape[1]] + g[:, x.shape[1] :]),
)
