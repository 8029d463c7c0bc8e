"""The passes of `passes`, compiled by Numba: each reads and writes its arrays once.

Sums run down the columns in the order of the rows, and nothing is reordered or contracted
(no ``fastmath``), so that NaN, infinities and -0.0 fare as they do in NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

Array = Any

# Compiled once per machine, kept beside the package or in the user's cache; the interpreter runs
# on meanwhile.
_compiled = njit(nogil=True, cache=True, error_model="numpy")


@_compiled
def moments(x: Array, centre: Array | None) -> tuple[Array, Array]:
    """Sum over the rows of (x - centre) and of its square."""
    total, square = np.zeros_like(x[0]), np.zeros_like(x[0])
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            value = x[i, j]
            if centre is not None:
                value -= centre[j]
            total[j] += value
            square[j] += value * value
    return total, square


@_compiled
def products(
    g: Array, x: Array, centre: Array | None, output: Array | None, masked: Array
) -> tuple[Array, Array]:
    """Sum over the rows of g and of g * (x - centre).

    With the `output` of a ReLU, g is first masked by it, and written to `masked`.
    """
    total, product = np.zeros_like(x[0]), np.zeros_like(x[0])
    zero = x.dtype.type(0)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            value, seen = g[i, j], x[i, j]
            if output is not None:
                if output[i, j] <= zero:
                    value = zero
                masked[i, j] = value
            if centre is not None:
                seen -= centre[j]
            total[j] += value
            product[j] += value * seen
    return total, product


@_compiled
def normalized(
    x: Array,
    centre: Array | None,
    scale: Array,
    shift: Array,
    shortcut: Array | None,
    rectify: bool,
    out: Array,
) -> None:
    """Write (x - centre) * scale + shift (+ shortcut), and ReLU of it if asked for."""
    zero = x.dtype.type(0)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            value = x[i, j]
            if centre is not None:
                value -= centre[j]
            value = value * scale[j] + shift[j]
            if shortcut is not None:
                value += shortcut[i, j]
            if rectify and value <= zero:
                value = zero
            out[i, j] = value


@_compiled
def combined(
    g: Array, x: Array, centre: Array | None, scale: Array, factor: Array, shift: Array, out: Array
) -> None:
    """Write g * scale + (x - centre) * factor + shift."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            seen = x[i, j]
            if centre is not None:
                seen -= centre[j]
            out[i, j] = g[i, j] * scale[j] + (seen * factor[j] + shift[j])


@_compiled
def scaled(g: Array, scale: Array, out: Array) -> None:
    """Write g * scale."""
    for i in range(g.shape[0]):
        for j in range(g.shape[1]):
            out[i, j] = g[i, j] * scale[j]
