"""Pooling on plain arrays: which pixel wins a window, and sums over windows.

Letters as in `convolution`: images (N, C, H, W), windows (N, C, OH, OW, KH, KW).
"""

from __future__ import annotations

from typing import Any

from .convolution import ConvolutionKernels
from .windows import Window

Array = Any


class PoolingKernels(ConvolutionKernels):
    """The device's pooling kernels, written with its `xp`."""

    def max_pool(self, x: Array, window: Window) -> tuple[Array, Array]:
        """Largest value of each window, and where in the image it stood.

        Returns values (N, C, OH, OW) and positions (N, C, OH, OW), int64, into the flattened
        image (H*W). The first of equal values wins; a NaN wins over everything; padding never
        wins, also among negative numbers or infinities.
        """
        xp = self.xp
        n, c, h, w = x.shape
        shape = (n, c, *window.output_size((h, w)), window.taps)
        values = self.windows(x, window).reshape(shape)
        inside = self.xp.ones((1, 1, h, w), bool)
        real = self.windows(inside, window, fill=False).reshape((1, 1, *shape[2:]))
        lowest = -xp.inf if x.dtype.kind == "f" else xp.iinfo(x.dtype).min
        best = xp.where(real, values, xp.asarray(lowest, x.dtype)).max(-1)
        winners = ((values == best[..., None]) | (values != values)) & real
        tap = winners.argmax(-1)
        (vstep, hstep), (dh, dw) = window.stride, window.dilation
        (top, _), (left, _) = window.padding
        rows = xp.arange(shape[2])[:, None] * vstep - top + tap // window.kernel[1] * dh
        columns = xp.arange(shape[3]) * hstep - left + tap % window.kernel[1] * dw
        return best, rows * w + columns

    def window_sums(self, x: Array, window: Window) -> Array:
        """Sum of each window of the zero-padded images (N, C, H, W), (N, C, OH, OW)."""
        return self.windows(x, window).sum((-2, -1))

    def spread_sums(self, g: Array, window: Window, size: tuple[int, int]) -> Array:
        """Transpose of `window_sums`: g (N, C, OH, OW) goes to every pixel of its window."""
        taps = self.xp.broadcast_to(g[..., None, None], (*g.shape, *window.kernel))
        return self.fold(taps, window, size)
