"""Pooling on a GPU: a thread for each window, or for each pixel on the way back.

Letters as in `devices.pooling`: images (N, C, H, W), a window at (OH, OW) places, with taps (see
`sliding`). Arrays are float16, float32 or float64, in the device's memory order; winners are int64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import accumulator
from ..pooling import PoolingKernels
from ..windows import Window
from .convolution import CudaConvolution, computes
from .kernel import Kernel
from .layout import dense
from .sliding import (
    MOST_CHANNELS,
    SOURCE,
    TYPES,
    Images,
    alike,
    fields,
    framed,
    seen,
    sliding,
    taps,
)

Array = Any
Size = tuple[int, int]


def max_pool_plain(x: Array, values: Array, winners: Array, s: Array, lowest: float) -> None:
    """Compare the taps one after the other; padding is recognised by its number, -1.

    Parameters
    ----------
    x : array, (N, C, H, W), T
    values, winners : array, (N, C, OH, OW), T and int64
        Written: the largest value, and its pixel row * W + column (-1 if there is none).
    s : array, (), `sliding.DTYPE`
    lowest : A
        Minus infinity.
    """
    s = fields(s)
    numbers = np.broadcast_to(np.arange(s.h * s.w).reshape(s.h, s.w), x.shape)
    frame, places = framed(x, s), framed(numbers, s, -1)
    values[...], winners[...] = lowest, -1
    for i, j in taps(s):
        value, place = seen(frame, s, i, j), seen(places, s, i, j)
        better = (winners < 0) | (value > values) | ((value != value) & (values == values))
        better &= place >= 0
        values[...] = np.where(better, value, values)
        winners[...] = np.where(better, place, winners)


MAX_POOL = Kernel(
    SOURCE
    + r"""
// The largest value that each window sees, and the pixel where it stands (row * W + column). The
// first of equals wins, NaN wins over everything; padding is not looked at.
extern "C" __global__ void max_pool(const T* x, T* values, long long* winners, Sliding s,
                                    A lowest) {
    unsigned place = blockIdx.x * BLOCK + threadIdx.x;
    if (place >= s.n * s.oh * s.ow) return;
    int ox = place % s.ow, oy = place / s.ow % s.oh, n = place / s.ow / s.oh;
    int row = oy * s.vstep - s.top, column = ox * s.hstep - s.left;
    for (int c = blockIdx.y; c < s.c; c += gridDim.y) {
        const T* image = x + (n * s.n_step + c * s.c_step);
        A best = lowest;
        int winner = -1;
        for (int i = 0; i < s.kh; ++i) {
            int y = row + i * s.dh;
            if (y < 0 || y >= s.h) continue;
            for (int j = 0; j < s.kw; ++j) {
                int z = column + j * s.dw;
                if (z < 0 || z >= s.w) continue;
                A value = (A)image[y * s.h_step + z * s.w_step];
                if (winner < 0 || value > best || (value != value && best == best)) {
                    best = value;
                    winner = y * s.w + z;
                }
            }
        }
        int at = n * s.image + c * s.channel + oy * s.ow + ox;
        values[at] = (T)best;
        winners[at] = winner;
    }
}
""",
    plain=max_pool_plain,
    types=TYPES,
)


def max_pool_backward_plain(g: Array, winners: Array, dx: Array, s: Array) -> None:
    """Add what each window's winner is given, tap by tap.

    Parameters
    ----------
    g, winners : array, (N, C, OH, OW), T and int64
    dx : array, (N, C, H, W), T
        Written.
    s : array, (), `sliding.DTYPE`
    """
    s = fields(s)
    numbers = np.arange(s.h * s.w).reshape(1, 1, s.h, s.w)
    places = framed(np.broadcast_to(numbers, dx.shape), s, -1)
    frame = framed(np.zeros(dx.shape, accumulator(dx.dtype)), s)
    for i, j in taps(s):
        won = winners == seen(places, s, i, j)
        seen(frame, s, i, j)[...] += np.where(won, g, g.dtype.type(0))
    dx[...] = frame[:, :, s.top : s.top + s.h, s.left : s.left + s.w]


MAX_POOL_BACKWARD = Kernel(
    SOURCE
    + r"""
// What the windows give to the pixel that won them. A thread sums up one pixel, always in the same
// order: of the windows that see it, those whose winner it is.
extern "C" __global__ void max_pool_backward(const T* g, const long long* winners, T* dx,
                                             Sliding s) {
    unsigned pixel = blockIdx.x * BLOCK + threadIdx.x;
    if (pixel >= s.n * s.h * s.w) return;
    int column = pixel % s.w, row = pixel / s.w % s.h, n = pixel / s.w / s.h;
    for (int c = blockIdx.y; c < s.c; c += gridDim.y) {
        int first = n * s.image + c * s.channel;
        A sum = 0;
        for (int i = 0; i < s.kh; ++i) {
            int down = row + s.top - i * s.dh, oy = places_to(down, s.vstep);
            if (down < 0 || oy * s.vstep != down || oy >= s.oh) continue;
            for (int j = 0; j < s.kw; ++j) {
                int right = column + s.left - j * s.dw, ox = places_to(right, s.hstep);
                if (right < 0 || ox * s.hstep != right || ox >= s.ow) continue;
                int at = first + oy * s.ow + ox;
                if (winners[at] == row * s.w + column) sum += (A)g[at];
            }
        }
        dx[n * s.n_step + c * s.c_step + row * s.h_step + column * s.w_step] = (T)sum;
    }
}
""",
    plain=max_pool_backward_plain,
    types=TYPES,
)


def window_sums_plain(x: Array, y: Array, s: Array) -> None:
    """Add what each tap sees of the framed images."""
    s = fields(s)
    frame = framed(x, s)
    total = np.zeros(y.shape, accumulator(y.dtype))
    for i, j in taps(s):
        total += seen(frame, s, i, j)
    y[...] = total


WINDOW_SUMS = Kernel(
    SOURCE
    + r"""
// The sum of what each window sees; the padding is 0.
extern "C" __global__ void window_sums(const T* x, T* y, Sliding s) {
    unsigned place = blockIdx.x * BLOCK + threadIdx.x;
    if (place >= s.n * s.oh * s.ow) return;
    int ox = place % s.ow, oy = place / s.ow % s.oh, n = place / s.ow / s.oh;
    int row = oy * s.vstep - s.top, column = ox * s.hstep - s.left;
    for (int c = blockIdx.y; c < s.c; c += gridDim.y) {
        const T* image = x + (n * s.n_step + c * s.c_step);
        A sum = 0;
        for (int i = 0; i < s.kh; ++i) {
            int down = row + i * s.dh;
            if (down < 0 || down >= s.h) continue;
            for (int j = 0; j < s.kw; ++j) {
                int right = column + j * s.dw;
                if (right < 0 || right >= s.w) continue;
                sum += (A)image[down * s.h_step + right * s.w_step];
            }
        }
        y[n * s.image + c * s.channel + oy * s.ow + ox] = (T)sum;
    }
}
""",
    plain=window_sums_plain,
    types=TYPES,
)


class CudaPooling(CudaConvolution, PoolingKernels):
    """Pooling on a GPU."""

    def max_pool(self, x: Array, window: Window) -> tuple[Array, Array]:
        """Largest value of each window, and where in the image it stood, both (N, C, OH, OW)."""
        if not computes(x.shape, window, x):
            return super().max_pool(x, window)
        x = self.in_one_run(x)
        n, c, h, w = x.shape
        oh, ow = window.output_size((h, w))
        values = self.empty_images((n, c, oh, ow), x.dtype)
        winners = self.empty_images((n, c, oh, ow), "int64")
        s = sliding(x.shape, x.strides, x.itemsize, window, alike(n, oh * ow))
        grid = MAX_POOL.grid(n * oh * ow), min(c, MOST_CHANNELS)
        self.launch(MAX_POOL, grid, x, values, winners, s, -np.inf, T=x.dtype)
        return values, winners

    def max_pool_backward(self, g: Array, winners: Array, window: Window, size: Size) -> Array:
        """Transpose of `max_pool`: g (N, C, OH, OW) goes to the winners of the windows."""
        n, c, oh, ow = g.shape
        shape: Images = n, c, *size
        if not computes(shape, window, g):
            return super().max_pool_backward(g, winners, window, size)
        g, winners = (dense(self, a).transpose(1, 0, 2, 3) for a in (g, winners))
        dx = self.empty_images(shape, g.dtype)
        s = sliding(shape, dx.strides, dx.itemsize, window, alike(n, oh * ow))
        grid = MAX_POOL_BACKWARD.grid(dx.size // c), min(c, MOST_CHANNELS)
        self.launch(MAX_POOL_BACKWARD, grid, g, winners, dx, s, T=g.dtype)
        return dx

    def window_sums(self, x: Array, window: Window) -> Array:
        """Sum of each window of the zero-padded images (N, C, H, W), (N, C, OH, OW)."""
        if not computes(x.shape, window, x):
            return super().window_sums(x, window)
        x = self.in_one_run(x)
        n, c, h, w = x.shape
        oh, ow = window.output_size((h, w))
        y = self.empty_images((n, c, oh, ow), x.dtype)
        s = sliding(x.shape, x.strides, x.itemsize, window, alike(n, oh * ow))
        grid = WINDOW_SUMS.grid(n * oh * ow), min(c, MOST_CHANNELS)
        self.launch(WINDOW_SUMS, grid, x, y, s, T=x.dtype)
        return y

    def spread_sums(self, g: Array, window: Window, size: Size) -> Array:
        """Transpose of `window_sums`: g (N, C, OH, OW) goes to every pixel of its window."""
        n, c, oh, ow = g.shape
        if not computes((n, c, *size), window, g):
            return super().spread_sums(g, window, size)
        # Columns whose taps all have the same value, which is stored once.
        return self._col2im(dense(self, g), (n, c, *size), window, alike(n, oh * ow))
