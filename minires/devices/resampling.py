"""Picking and mixing the values along one axis, in the order in which they lie in memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .convolution import ConvolutionKernels

Array = Any


class ResamplingKernels(ConvolutionKernels):
    """The device's kernels for one axis of images, written with its `xp`."""

    def pick(self, x: Array, index: Array, axis: int) -> Array:
        """Return the values at the places `index` (M,) along an axis; M is its new length."""
        flat, put_back = _around(x, axis)
        return put_back(self.xp.take(flat, index, 1))

    def mix(self, matrix: Array, x: Array, axis: int) -> Array:
        """Multiply an axis of length L by a matrix (M, L): M mixtures of its values."""
        flat, put_back = _around(x, axis)
        count, _, after = flat.shape
        if after == 1:
            return put_back(self.matmul(flat[:, :, 0], matrix.T)[:, :, None])
        # As many matrices as there are factors: such products are shared among threads.
        repeated = self.xp.broadcast_to(matrix, (count, *matrix.shape))
        return put_back(self.matmul(repeated, flat))

    def mix_apart(self, matrix: Array, x: Array, axis: int) -> Array:
        """Return the same without products by 0, which make NaN of a NaN or an infinity."""
        flat, put_back = _around(x, axis)
        before, _, after = flat.shape
        y = self.xp.zeros((before, len(matrix), after), x.dtype)
        for place, parts in enumerate(matrix.T):
            seen = parts.nonzero()[0]
            y[:, seen] += parts[seen, None] * flat[:, place, None]
        return put_back(y)


def _around(x: Array, axis: int) -> tuple[Array, Callable[[Array], Array]]:
    """View x as (before, L, after), by what lies before and behind the axis in memory.

    Also return what makes of such an array one with x's axes, in x's memory order.
    """
    order = sorted(range(x.ndim), key=lambda i: -abs(x.strides[i]))
    place = order.index(axis)
    turned = x.transpose(order)
    before, after = turned.shape[:place], turned.shape[place + 1 :]
    back = sorted(range(x.ndim), key=order.__getitem__)

    def put_back(y: Array) -> Array:
        return y.reshape(*before, y.shape[1], *after).transpose(back)

    return turned.reshape(math.prod(before), x.shape[axis], math.prod(after)), put_back
