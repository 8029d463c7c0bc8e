"""Chunks of flat memory, shown as rows of whole pixels, for passes of element-wise work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

Array = Any

# Values per chunk and per row: one MiB of float32, and a length at which ufuncs are at speed.
CHUNK = 1 << 18
LENGTH = 1 << 11
# Values that a further thread must find to do.
GRAIN = 1 << 16


def of(c: int, part: slice, *dense: Array) -> Iterator[tuple[Array, ...]]:
    """Cut the pixels `part` of C-contiguous arrays into chunks, shown as rows of whole pixels.

    What is left at the end and fills no row comes as one short row.
    """
    flat = [array.reshape(-1) for array in dense]
    pixels = max(1, LENGTH // c)
    chunk = max(1, CHUNK // (pixels * c)) * pixels
    for start in range(part.start, part.stop, chunk):
        stop = min(start + chunk, part.stop)
        whole = start + (stop - start) // pixels * pixels
        if whole > start:
            yield tuple([a[start * c : whole * c].reshape(-1, pixels * c) for a in flat])
        if stop > whole:
            yield tuple([a[whole * c : stop * c].reshape(1, -1) for a in flat])


def repeated(vector: Array, times: int, dtype: Any) -> Array:
    """Repeat a vector (C,) so often, in a dtype: a run of C values alone would be short."""
    row = np.empty((times, len(vector)), dtype)
    row[...] = vector
    return row.reshape(-1)


def masked(g: Array, output: Array, out: Array) -> Array:
    """Write g into `out` where `output` is not 0, else 0; on the bits, for a select is slow.

    A ReLU's output is never -0.0, so that its bits are 0 or not, and NaN has bits too.
    """
    whole = np.dtype(f"uint{8 * g.itemsize}")
    ones = np.ones(g.shape[1], whole)
    bits = out.view(whole)
    np.minimum(output.view(whole), ones, out=bits)
    np.multiply(bits, g.view(whole), out=bits)
    return out
