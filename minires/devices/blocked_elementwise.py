"""Addition and ReLU as the NumPy device does them: on several threads, into buffers used again.

They must equal the kernels of `elementwise`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import buffers, rows, threads
from .elementwise import ElementwiseKernels
from .layout import channels_first, channels_last

Array = Any

# Bytes: below this the plain kernels' few calls take less time than cutting into rows.
SMALLEST = 1 << 16


class BlockedElementwise(ElementwiseKernels):
    """The kernels of `ElementwiseKernels` for large float32 and float64, fast."""

    def add(self, a: Array, b: Array) -> Array:
        """a + b, of equal shapes."""
        # The engine adds tiny gradients often: the question that settles most comes first.
        if a.nbytes < SMALLEST or not _worthwhile(a, b):
            return a + b
        return _apply(lambda x, y, out: np.add(x, y, out=out), _dense(a), b)

    def relu(self, x: Array) -> Array:
        """max(x, 0); never -0.0, and NaN stays NaN."""
        if not _worthwhile(x):
            return super().relu(x)
        zeros = np.zeros(rows.LENGTH, x.dtype)

        def rectify(seen: Array, out: Array) -> None:
            np.maximum(seen, zeros[: seen.shape[1]], out=out)

        return _apply(rectify, _dense(x))

    def relu_backward(self, g: Array, output: Array) -> Array:
        """g where the output is not 0: a NaN passes its gradient on."""
        if not _worthwhile(g, output):
            return super().relu_backward(g, output)
        return _apply(lambda out, g, dx: rows.masked(g, out, dx), _dense(output), g)


def _worthwhile(*arrays: Array) -> bool:
    """Tell whether the arrays are alike, of a dtype these kernels know, and large."""
    first = arrays[0]
    alike = all(a.shape == first.shape and a.dtype == first.dtype for a in arrays)
    return alike and first.dtype.char in "fd" and first.nbytes >= SMALLEST


def _apply(function: Callable[..., Any], *arrays: Array) -> Array:
    """Fill an array like the first, which is dense, calling function(*rows, rows of the result)."""
    made = _empty_like(arrays[0])
    sources = [_flat(_in_order_of(arrays[0], a)) for a in arrays]

    def work(part: slice) -> None:
        for pieces in rows.of(1, part, *sources, _flat(made)):
            function(*pieces)

    threads.run(work, threads.shares(made.size, rows.GRAIN))
    return made


def _flat(x: Array) -> Array:
    """View a dense array as one run of values."""
    return x.transpose(_order(x)).reshape(-1)


def _order(x: Array) -> list[int]:
    """Return the axes of x from the widest step in memory to the narrowest."""
    return sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))


def _dense(x: Array) -> Array:
    """Return x itself if its values fill one run of memory in some order of axes, else a copy."""
    if x.transpose(_order(x)).flags.c_contiguous:
        return x
    return channels_first(channels_last(x)) if x.ndim > 2 else x.copy()


def _empty_like(x: Array) -> Array:
    """Allocate memory in the same order of axes as the dense array x."""
    order = _order(x)
    back = sorted(range(x.ndim), key=order.__getitem__)
    return buffers.empty(x.transpose(order).shape, x.dtype).transpose(back)


def _in_order_of(model: Array, x: Array) -> Array:
    """Return x in the memory order of `model`."""
    if x.strides == model.strides:
        return x
    ordered = _empty_like(model)
    np.copyto(ordered, x)
    return ordered
