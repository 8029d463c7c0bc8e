"""Single passes of batch normalisation over rows of values, on NumPy.

All arrays are rows (R, L) that fit the cache, all vectors have length L or are None. The same
functions stand in `compiled_passes` for Numba.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import buffers, rows

Array = Any


def moments(x: Array, centre: Array | None) -> tuple[Array, Array]:
    """Sum over the rows of (x - centre) and of its square."""
    x = _centred(x, centre)
    return _column_sums(x), np.einsum("ij,ij->j", x, x)


def products(
    g: Array, x: Array, centre: Array | None, output: Array | None, masked: Array
) -> tuple[Array, Array]:
    """Sum over the rows of g and of g * (x - centre).

    With the `output` of a ReLU, g is first masked by it, and written to `masked`.
    """
    if output is not None:
        g = rows.masked(g, output, masked)
    return _column_sums(g), np.einsum("ij,ij->j", g, _centred(x, centre))


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
    np.multiply(x if centre is None else np.subtract(x, centre, out=out), scale, out=out)
    out += shift
    if shortcut is not None:
        out += shortcut
    if rectify:
        # With zeros of the same length: a scalar is slower, and as first operand would keep -0.0.
        np.maximum(out, np.zeros_like(shift), out=out)


def combined(
    g: Array, x: Array, centre: Array | None, scale: Array, factor: Array, shift: Array, out: Array
) -> None:
    """Write g * scale + (x - centre) * factor + shift."""
    term = buffers.empty(x.shape, x.dtype)
    np.multiply(x if centre is None else np.subtract(x, centre, out=term), factor, out=term)
    term += shift
    np.multiply(g, scale, out=out)
    out += term


def scaled(g: Array, scale: Array, out: Array) -> None:
    """Write g * scale."""
    np.multiply(g, scale, out=out)


def _centred(x: Array, centre: Array | None) -> Array:
    if centre is None:
        return x
    return np.subtract(x, centre, out=buffers.empty(x.shape, x.dtype))


def _column_sums(x: Array) -> Array:
    """Sum over the rows, as a product with ones: BLAS adds on all lanes of its vectors."""
    with np.errstate(invalid="ignore"):
        return np.ones(len(x), x.dtype) @ x
