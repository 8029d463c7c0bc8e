"""Memory order: which axes lie next to each other, while shapes stay (N, C, *spatial).

This device keeps activations channels-last: the C values of one pixel lie side by side, so that a
row of a window is one run of memory, a product's result *is* the next activation, and what belongs
to a channel repeats with the period C.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import buffers

Array = Any


def channels_last(x: Array) -> Array:
    """View x (N, C, *spatial) as (N, *spatial, C), C-contiguous; a copy only if it is not."""
    moved = x.transpose(0, *range(2, x.ndim), 1)
    if moved.flags.c_contiguous:
        return moved
    dense = buffers.empty(moved.shape, x.dtype)
    np.copyto(dense, moved)
    return dense


def channels_first(x: Array) -> Array:
    """View x (N, *spatial, C) as (N, C, *spatial): the way back."""
    return x.transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


def blas_computes(*arrays: Array) -> bool:
    """Tell whether the arrays are alike and of a dtype that BLAS knows, with something in them."""
    dtype = arrays[0].dtype
    return dtype.char in "fd" and all(a.dtype == dtype and a.size for a in arrays)
