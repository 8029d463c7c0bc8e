"""Checks of tutorial 11, on the path spectrum."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from math import comb
from typing import Any

import numpy as np

from ..exercise import Wrong, check


@check
def fraction_of_paths(answer: Callable[..., Any]) -> str:
    """How many of all paths cross so many branches."""
    for blocks, low, high in [(3, 1, 1), (3, 0, 3), (10, 4, 6), (54, 5, 17), (54, 19, 35)]:
        expected = sum(comb(blocks, k) for k in range(low, high + 1)) / 2**blocks
        found = float(answer(blocks, low, high))
        if not np.isclose(found, expected):
            raise Wrong(
                f"Of {blocks} blocks, {low} to {high}: {expected:.4g} of the paths, found"
                f" {found:.4g}. There are comb(L, k) paths that cross k."
            )
    return "Five ranges, those of 54 blocks among them."


def _through(matrix: Any, g: Any) -> Any:
    return matrix.T @ g


def _network(blocks: int, size: int) -> tuple[Any, list[Callable[[Any], Any]], Any]:
    """Return a gradient, the branches of a network, and its parts by walking all paths."""
    rng = np.random.default_rng(blocks)
    g = rng.standard_normal(size)
    branches = [partial(_through, rng.standard_normal((size, size))) for _ in range(blocks)]
    parts = np.zeros((blocks + 1, size))
    for way in product([False, True], repeat=blocks):
        path = g
        for branch, crossed in zip(reversed(branches), reversed(way), strict=True):
            path = branch(path) if crossed else path
        parts[sum(way)] += path
    return g, list(branches), parts


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


@check
def path_spectrum(answer: Callable[..., Any]) -> str:
    """The gradient by the number of branches crossed, against all paths walked one by one."""
    for blocks in (1, 2, 5):
        g, branches, parts = _network(blocks, 3)
        found = [np.asarray(part) for part in answer(g.copy(), list(branches))]
        if len(found) != blocks + 1 or any(part.shape != g.shape for part in found):
            raise Wrong(
                f"With {_many(blocks, 'block')} it returns {blocks + 1} parts, k = 0 to {blocks},"
                f" each as long as g; found {_many(len(found), 'part')} of shapes"
                f" {', '.join(str(part.shape) for part in found)}."
            )
        for k, (own, part) in enumerate(zip(found, parts, strict=True)):
            if not np.allclose(own, part):
                raise Wrong(
                    f"With {_many(blocks, 'block')}, part {k} differs from the sum over the paths"
                    f" that cross so many branches (there are {comb(blocks, k)}). At each block,"
                    " starting with the last: part k around it, plus part k - 1 through its branch."
                )
    return "The same as all paths walked one by one, for 1, 2 and 5 blocks."


@check
def turned_down(answer: Callable[..., Any]) -> str:
    """The gradient when the backward pass of every branch is scaled."""
    for blocks, a in [(3, 0.0), (3, 0.5), (4, -1.0), (2, 1.0)]:
        g, branches, parts = _network(blocks, 3)
        expected = g
        for branch in reversed(branches):
            expected = expected + a * branch(expected)
        found = np.asarray(answer(list(parts), a))
        if found.shape != g.shape:
            raise Wrong(f"It returns one gradient, of shape {g.shape}; found {found.shape}.")
        if not np.allclose(found, expected):
            raise Wrong(
                f"With {blocks} blocks and a = {a:g} it differs from the backward pass with"
                " every branch scaled. A path that crosses k branches is scaled k times."
            )
    return "Compared with backward passes at a = 0, 1/2, -1 and 1."
