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
        lowest = -xp.inf if x.dtype.kind == "f" else xp.iinfo(x.dtype).min
        values = self.windows(x, window, lowest)
        numbers = xp.arange(h * w).reshape(1, 1, h, w)
        places = self.windows(numbers, window, -1)  # (1, 1, OH, OW, KH, KW), -1 in the padding
        best = xp.full((n, c, *window.output_size((h, w))), lowest, x.dtype)
        winner = xp.full(best.shape, -1)
        for i in range(window.kernel[0]):
            for j in range(window.kernel[1]):
                value, place = values[..., i, j], places[..., i, j]
                better = (winner < 0) | (value > best) | ((value != value) & (best == best))
                better &= place >= 0
                best = xp.where(better, value, best)
                winner = xp.where(better, place, winner)
        return best, winner

    def max_pool_backward(
        self, g: Array, winners: Array, window: Window, size: tuple[int, int]
    ) -> Array:
        """Transpose of `max_pool` in x: g (N, C, OH, OW) goes to the winners of the windows."""
        n, c, oh, ow = g.shape
        h, w = size
        dx = self.xp.zeros((n * c, h * w), g.dtype)
        image = self.xp.arange(n * c).reshape(-1, 1)
        places = n * c, oh * ow
        self.add_at(dx, (image, winners.reshape(places)), g.reshape(places))
        return dx.reshape(n, c, h, w)

    def window_sums(self, x: Array, window: Window) -> Array:
        """Sum of each window of the zero-padded images (N, C, H, W), (N, C, OH, OW)."""
        return self.windows(x, window).sum((-2, -1))

    def spread_sums(self, g: Array, window: Window, size: tuple[int, int]) -> Array:
        """Transpose of `window_sums`: g (N, C, OH, OW) goes to every pixel of its window."""
        taps = self.xp.broadcast_to(g[..., None, None], (*g.shape, *window.kernel))
        return self.fold(taps, window, size)
