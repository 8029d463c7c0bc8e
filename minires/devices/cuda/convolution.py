"""Convolution on a GPU: windows laid out as columns by a kernel, and one matrix product.

Letters as in `devices.convolution`: N images, C channels, O filters, G groups, a window at
L = OH * OW places with KH * KW taps (`sliding` says what these are), K = C * KH * KW rows of
columns. The memory order is that of `layout`. Arrays are float16, float32 or float64, all operands
alike, and so is the result; a product adds up float16 in float32. What is mixed, empty, of another
dtype or too large for 32-bit indices goes to the readable kernels.

Nothing is kept for the way back but x: its columns, KH * KW times as large, are made again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..convolution import ConvolutionKernels
from ..dtypes import accumulator
from ..windows import Window
from .blas import CudaBlas
from .kernel import Kernel
from .launching import TOO_LARGE
from .layout import CudaLayout, dense, is_ordinary
from .sliding import (
    MOST_CHANNELS,
    SOURCE,
    TYPES,
    Images,
    Steps,
    by_image,
    by_row,
    by_tap,
    fields,
    framed,
    seen,
    sliding,
    taps,
)

Array = Any
Size = tuple[int, int]

# Whose windows are the pixels themselves: images are their own columns.
_POINT = Window((1, 1))


def im2col_plain(x: Array, columns: Array, s: Array) -> None:
    """Copy what each tap sees of the framed images.

    Parameters
    ----------
    x : array, (N, C, H, W), T
    columns : array, T
        Written; (K, N*L) or (N, K, L), as the structure's steps say.
    s : array, (), `sliding.DTYPE`
    """
    s = fields(s)
    frame, values = framed(x, s), by_tap(columns, s)
    for i, j in taps(s):
        values[i, j] = seen(frame, s, i, j)


IM2COL = Kernel(
    SOURCE
    + r"""
// What every tap of every window sees, 0 in the padding. A thread fills in one window of one
// channel; neighbours write side by side, whatever the order of x.
extern "C" __global__ void im2col(const T* x, T* columns, Sliding s) {
    unsigned place = blockIdx.x * BLOCK + threadIdx.x;
    if (place >= s.n * s.oh * s.ow) return;
    int ox = place % s.ow, oy = place / s.ow % s.oh, n = place / s.ow / s.oh;
    int row = oy * s.vstep - s.top, column = ox * s.hstep - s.left;
    for (int c = blockIdx.y; c < s.c; c += gridDim.y) {
        const T* image = x + (n * s.n_step + c * s.c_step);
        T* value = columns + (n * s.image + c * s.channel + oy * s.ow + ox);
        for (int i = 0; i < s.kh; ++i) {
            int y = row + i * s.dh;
            for (int j = 0; j < s.kw; ++j) {
                int z = column + j * s.dw;
                bool inside = y >= 0 && y < s.h && z >= 0 && z < s.w;
                *value = inside ? image[y * s.h_step + z * s.w_step] : (T)0;
                value += s.tap;
            }
        }
    }
}
""",
    plain=im2col_plain,
    types=TYPES,
)


def col2im_plain(columns: Array, x: Array, s: Array) -> None:
    """Add each tap's values, in the framed images, to what it sees.

    Parameters
    ----------
    columns : array, T
        (K, N*L) or (N, K, L), as the structure's steps say.
    x : array, (N, C, H, W), T
        Written; sums are formed in the accumulator of T.
    s : array, (), `sliding.DTYPE`
    """
    s = fields(s)
    values = by_tap(columns, s)
    frame = framed(np.zeros(x.shape, accumulator(x.dtype)), s)
    for i, j in taps(s):
        seen(frame, s, i, j)[...] += values[i, j]
    x[...] = frame[:, :, s.top : s.top + s.h, s.left : s.left + s.w]


COL2IM = Kernel(
    SOURCE
    + r"""
// The transpose of im2col. A thread sums up one pixel of one channel, always in the same order: it
// looks for the windows of which a tap sees it.
extern "C" __global__ void col2im(const T* columns, T* x, Sliding s) {
    unsigned pixel = blockIdx.x * BLOCK + threadIdx.x;
    if (pixel >= s.n * s.h * s.w) return;
    int column = pixel % s.w, row = pixel / s.w % s.h, n = pixel / s.w / s.h;
    for (int c = blockIdx.y; c < s.c; c += gridDim.y) {
        const T* values = columns + (n * s.image + c * s.channel);
        A sum = 0;
        for (int i = 0; i < s.kh; ++i) {
            int down = row + s.top - i * s.dh, oy = places_to(down, s.vstep);
            if (down < 0 || oy * s.vstep != down || oy >= s.oh) continue;
            for (int j = 0; j < s.kw; ++j) {
                int right = column + s.left - j * s.dw, ox = places_to(right, s.hstep);
                if (right < 0 || ox * s.hstep != right || ox >= s.ow) continue;
                sum += (A)values[(i * s.kw + j) * s.tap + oy * s.ow + ox];
            }
        }
        x[n * s.n_step + c * s.c_step + row * s.h_step + column * s.w_step] = (T)sum;
    }
}
""",
    plain=col2im_plain,
    types=TYPES,
)


def finish_plain(
    y: Array, bias: Array | None, shortcut: Array | None, rectify: bool, plane: int, count: int
) -> None:
    """Write relu(shortcut + (y + bias)) over y, leaving out what there is not.

    Parameters
    ----------
    y, shortcut : array, (N, O, OH, OW), T
        In the device's memory order.
    bias : array, (O,), T
    rectify : bool
    plane, count : int
        Elements of a channel, N*L, and of y.
    """
    if bias is not None:
        y += bias.reshape(1, -1, 1, 1)
    if shortcut is not None:
        y += shortcut
    if rectify:
        y[y <= 0] = 0


FINISH = Kernel(
    r"""
// y = relu(shortcut + (y + bias)), with a bias per channel of `plane` values; rounded after each
// step, so that the result is to the bit that of the steps one by one.
extern "C" __global__ void finish(T* y, const T* bias, const T* shortcut, bool rectify,
                                  unsigned plane, unsigned count) {
    unsigned i = blockIdx.x * BLOCK + threadIdx.x;
    if (i >= count) return;
    A value = (A)y[i];
    if (bias) value = (A)(T)(value + (A)bias[i / plane]);
    if (shortcut) value = (A)(T)((A)shortcut[i] + value);
    y[i] = (T)(rectify && value <= 0 ? (A)0 : value);
}
""",
    plain=finish_plain,
)


class CudaConvolution(CudaBlas, CudaLayout, ConvolutionKernels):
    """Convolution on a GPU."""

    def im2col(self, x: Array, window: Window) -> Array:
        """Lay the windows of images (N, C, H, W) side by side as columns, (N, C*KH*KW, L)."""
        if not computes(x.shape, window, x):
            return super().im2col(x, window)
        n, c, h, w = x.shape
        oh, ow = window.output_size((h, w))
        columns = self.xp.empty((n, c * window.taps, oh * ow), x.dtype)
        self._im2col(x, columns, window, by_image(c, oh * ow, window.taps))
        return columns

    def col2im(self, columns: Array, window: Window, size: Size) -> Array:
        """Add columns (N, C*KH*KW, L) back into images (N, C, H, W): the transpose of `im2col`."""
        n, rows, places = columns.shape
        shape = n, rows // window.taps, *size
        if not computes(shape, window, columns):
            return super().col2im(columns, window, size)
        steps = by_image(shape[1], places, window.taps)
        return self._col2im(self.xp.ascontiguousarray(columns), shape, window, steps)

    def conv2d(
        self, x: Array, weight: Array, window: Window, groups: int, bias: Array | None = None
    ) -> Array:
        """Cross-correlate x (N, C, H, W) with weight (O, C/G, KH, KW): y (N, O, OH, OW)."""
        if not computes(x.shape, window, x, weight, bias, outputs=weight.shape[0]):
            return super().conv2d(x, weight, window, groups, bias)
        y = self._filtered(x, weight, window, groups)
        if bias is not None:
            self._finish(y, bias, None, rectify=False)
        return y

    def conv2d_relu(
        self,
        x: Array,
        weight: Array,
        window: Window,
        groups: int,
        bias: Array | None = None,
        shortcut: Array | None = None,
    ) -> Array:
        """ReLU of `conv2d`, plus a shortcut (N, O, OH, OW) if there is one."""
        if not computes(x.shape, window, x, weight, bias, shortcut, outputs=weight.shape[0]):
            return super().conv2d_relu(x, weight, window, groups, bias, shortcut)
        y = self._filtered(x, weight, window, groups)
        self._finish(y, bias, shortcut, rectify=True)
        return y

    def conv2d_input(
        self, g: Array, weight: Array, window: Window, groups: int, size: Size
    ) -> Array:
        """Transpose of `conv2d` in x: carry g (N, O, OH, OW) back to images (N, C, H, W)."""
        shape = g.shape[0], weight.shape[1] * groups, *size
        if not computes(shape, window, g, weight):
            return super().conv2d_input(g, weight, window, groups, size)
        columns = self.gemm(_by_group(weight, groups), self._rows(g, groups), transpose_a=True)
        if _is_point(window):
            return columns.reshape(shape[1], shape[0], *size).transpose(1, 0, 2, 3)
        oh, ow = g.shape[2:]
        return self._col2im(columns, shape, window, by_row(shape[0], oh * ow, window.taps))

    def conv2d_weight(self, g: Array, x: Array, window: Window, groups: int) -> Array:
        """Transpose of `conv2d` in the weight: g (N, O, OH, OW), x give (O, C/G, KH, KW)."""
        if not computes(x.shape, window, g, x):
            return super().conv2d_weight(g, x, window, groups)
        rows, columns = self._rows(g, groups), self._columns(x, window, groups)
        weight = self.gemm(rows, columns, transpose_b=True)
        return weight.reshape(g.shape[1], x.shape[1] // groups, *window.kernel)

    def conv2d_backward(
        self,
        g: Array,
        x: Array,
        weight: Array,
        window: Window,
        groups: int,
        needs: tuple[bool, ...],
    ) -> tuple[Array | None, Array | None]:
        """Both transposes at once, those that `needs` asks for: dx and dw."""
        # Both read it: should it have to be copied, then once.
        g = dense(self, g).transpose(1, 0, 2, 3)
        return super().conv2d_backward(g, x, weight, window, groups, needs)

    def _filtered(self, x: Array, weight: Array, window: Window, groups: int) -> Array:
        """The convolution itself."""
        columns = self._columns(x, window, groups)
        y = self.gemm(_by_group(weight, groups), columns)  # (O, N*L), or (G, O/G, N*L)
        oh, ow = window.output_size(x.shape[2:])
        return y.reshape(weight.shape[0], x.shape[0], oh, ow).transpose(1, 0, 2, 3)

    def _finish(self, y: Array, bias: Array | None, shortcut: Array | None, rectify: bool) -> None:
        """Write relu(shortcut + (y + bias)) over y, leaving out what there is not."""
        bias = None if bias is None else dense(self, bias)
        shortcut = None if shortcut is None else self.in_order_of(y, shortcut)
        plane = y.size // y.shape[1]
        args = y, bias, shortcut, rectify, plane, y.size
        self.launch(FINISH, FINISH.grid(y.size), *args, T=y.dtype)

    def _columns(self, x: Array, window: Window, groups: int) -> Array:
        """Columns (K, N*L), or of several groups (G, K/G, N*L)."""
        n, c, h, w = x.shape
        if _is_point(window):
            return _by_group(dense(self, x), groups)
        oh, ow = window.output_size((h, w))
        columns = self.xp.empty((c * window.taps, n * oh * ow), x.dtype)
        self._im2col(x, columns, window, by_row(n, oh * ow, window.taps))
        return _by_group(columns, groups)

    def _rows(self, y: Array, groups: int) -> Array:
        """A row per channel of images (N, O, OH, OW): (O, N*L), or (G, O/G, N*L)."""
        return _by_group(dense(self, y), groups)

    def _im2col(self, x: Array, columns: Array, window: Window, steps: Steps) -> None:
        x = self.in_one_run(x)
        s = sliding(x.shape, x.strides, x.itemsize, window, steps)
        n, c, h, w = x.shape
        oh, ow = window.output_size((h, w))
        grid = IM2COL.grid(n * oh * ow), min(c, MOST_CHANNELS)
        self.launch(IM2COL, grid, x, columns, s, T=x.dtype)

    def _col2im(self, columns: Array, shape: Images, window: Window, steps: Steps) -> Array:
        x = self.empty_images(shape, columns.dtype)
        s = sliding(shape, x.strides, x.itemsize, window, steps)
        n, c, h, w = shape
        self.launch(
            COL2IM, (COL2IM.grid(n * h * w), min(c, MOST_CHANNELS)), columns, x, s, T=x.dtype
        )
        return x


def computes(shape: Images, window: Window, *arrays: Array | None, outputs: int = 0) -> bool:
    """Tell whether the kernels can do it: floats of one dtype, none empty, none too large."""
    given = [x for x in arrays if x is not None]
    if not all(is_ordinary(x) and x.dtype == given[0].dtype for x in given):
        return False
    n, c, h, w = shape
    oh, ow = window.output_size((h, w))
    return 0 < n * max(c * h * w, max(c * window.taps, outputs) * oh * ow) < TOO_LARGE


def _is_point(window: Window) -> bool:
    return window.taps == 1 and window._replace(dilation=(1, 1)) == _POINT


def _by_group(rows: Array, groups: int) -> Array:
    """View rows (R, ...) as a matrix (R, columns), or one per group, (G, R/G, columns)."""
    count = rows.shape[0]
    width = rows.size // count
    return rows.reshape((count, width) if groups == 1 else (groups, count // groups, width))
