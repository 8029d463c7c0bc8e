"""Max pooling as the NumPy device does it: channels-last, one tap of the window after the other.

The mathematics stands in `pooling`, whose kernel this must equal. Letters as there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import buffers, threads
from .layout import channels_first, channels_last
from .pooling import PoolingKernels
from .windows import Window

Array = Any

# Values of the result that a further thread must find to do.
GRAIN = 1 << 16


class BlockedPooling(PoolingKernels):
    """The kernels of max pooling for float32 and float64, fast."""

    def max_pool(self, x: Array, window: Window) -> tuple[Array, Array]:
        """Largest value of each window, and where in the image it stood; see `PoolingKernels`."""
        if x.dtype.char not in "fd" or not x.size or window.taps > 255:
            return super().max_pool(x, window)
        images = channels_last(x)
        n, h, w, c = images.shape
        oh, ow = window.output_size((h, w))
        best = buffers.empty((n, oh, ow, c), x.dtype)
        winners = buffers.empty((n, oh, ow, c), np.dtype(np.int64))
        rows = threads.shares(oh, -(-GRAIN // (n * ow * c)))
        sound = threads.run(lambda share: _pooled(images, window, share, best, winners), rows)
        if not all(sound):
            # A NaN equals nothing, and the first one must be found.
            return super().max_pool(x, window)
        return channels_first(best), channels_first(winners)

    def max_pool_backward(
        self, g: Array, winners: Array, window: Window, size: tuple[int, int]
    ) -> Array:
        """Transpose of `max_pool` in x: g (N, C, OH, OW) goes to the winners of the windows."""
        if g.dtype.char not in "fd" or not g.size:
            return super().max_pool_backward(g, winners, window, size)
        gradient, places = channels_last(g), channels_last(winners)
        n, oh, ow, c = gradient.shape
        dx = buffers.empty((n, *size, c), g.dtype)
        dx[...] = 0
        corners = _corners(window, size[1], slice(0, oh), ow)
        for (y, x), pixels, step in _taps(window, size, slice(0, oh), ow):
            won = places[:, y, x] == corners[y, x] + step
            dx[:, *pixels] += np.where(won, gradient[:, y, x], 0)
        return channels_first(dx)


def _pooled(images: Array, window: Window, rows: slice, best: Array, winners: Array) -> bool:
    """Fill some rows of the result (N, OH, OW, C); tell whether they are free of NaN."""
    best, found = best[:, rows], winners[:, rows]
    best[...] = -np.inf
    taps = list(_taps(window, images.shape[1:3], rows, best.shape[2]))
    for (y, x), pixels, _ in taps:
        np.maximum(best[:, y, x], images[:, *pixels], out=best[:, y, x])
    if np.isnan(best.max()):
        return False
    # The first of equal taps counts most.
    ranks = np.zeros(best.shape, np.uint8)
    for rank, ((y, x), pixels, _) in enumerate(reversed(taps), 1):
        won = (images[:, *pixels] == best[:, y, x]).view(np.uint8)
        won *= np.uint8(rank)
        np.maximum(ranks[:, y, x], won, out=ranks[:, y, x])
    steps = np.array([0, *(step for *_, step in reversed(taps))])
    np.take(steps, ranks, out=found, mode="clip")
    found += _corners(window, images.shape[2], rows, best.shape[2])
    return True


def _corners(window: Window, width: int, rows: slice, columns: int) -> Array:
    """Return where in the flattened image windows have their first tap, (rows, columns, 1)."""
    (above, _), (left, _) = window.padding
    down = (np.arange(rows.start, rows.stop) * window.stride[0] - above) * width
    return (down[:, None] + np.arange(columns) * window.stride[1] - left)[:, :, None]


def _taps(
    window: Window, size: tuple[int, int], rows: slice, columns: int
) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice], int]]:
    """Iterate over taps: the outputs that see a pixel there, the pixels, and the way to them.

    The way leads from a window's first tap through the flattened image.
    """
    for i in range(window.kernel[0]):
        down = _seen(window, 0, i, size[0], rows)
        for j in range(window.kernel[1]):
            across = _seen(window, 1, j, size[1], slice(0, columns))
            if down is not None and across is not None:
                step = i * window.dilation[0] * size[1] + j * window.dilation[1]
                yield (down[0], across[0]), (down[1], across[1]), step


def _seen(
    window: Window, axis: int, tap: int, size: int, outputs: slice
) -> tuple[slice, slice] | None:
    """Return which outputs of a range see a pixel at a tap, counted from the first, and which."""
    step, offset = window.stride[axis], tap * window.dilation[axis] - window.padding[axis][0]
    first = max(outputs.start, -(offset // step))
    last = min(outputs.stop, (size - 1 - offset) // step + 1)
    if first >= last:
        return None
    start = first * step + offset
    pixels = slice(start, start + (last - first - 1) * step + 1, step)
    return slice(first - outputs.start, last - outputs.start), pixels
