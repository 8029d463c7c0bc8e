"""Convolution on plain arrays: sliding windows, im2col, and one matrix product.

Letters: N images, C input channels, O output channels, G groups, (H, W) input size, (OH, OW)
output size, (KH, KW) kernel, L = OH * OW window positions. Images have the *shape* (N, C, H, W);
in memory this device keeps them channels-last, (N, H, W, C), so that a pixel's channels lie side
by side: one window row is then one run of memory, and the product's result *is* the next image.
"""

from __future__ import annotations

from typing import Any

from .elementwise import ElementwiseKernels
from .windows import Window

Array = Any


class ConvolutionKernels(ElementwiseKernels):
    """The device's kernels for sliding windows and convolution, written with its `xp`."""

    def matmul(self, a: Array, b: Array) -> Array:
        """Matrix product of the last two axes."""
        return self.xp.matmul(a, b)

    def new_images(self, shape: tuple[int, int, int, int], dtype: Any, fill: float = 0) -> Array:
        """Allocate images of `shape` (N, C, H, W) in the device's memory order, filled."""
        n, c, h, w = shape
        return self.xp.full((n, h, w, c), fill, dtype).transpose(0, 3, 1, 2)

    def pad_images(self, x: Array, window: Window, fill: float = 0) -> Array:
        """Copy images (N, C, H, W) into a frame of `fill` as wide as the window's padding."""
        n, c, h, w = x.shape
        (top, _), (left, _) = window.padding
        framed = self.new_images((n, c, *window.padded_size((h, w))), x.dtype, fill)
        framed[:, :, top : top + h, left : left + w] = x
        return framed

    def windows(self, x: Array, window: Window, fill: float = 0) -> Array:
        """View of every window of the padded images, (N, C, OH, OW, KH, KW), not to be written."""
        n, c, h, w = x.shape
        framed = self.pad_images(x, window, fill)
        sn, sc, sh, sw = framed.strides
        (kh, kw), (vstep, hstep), (dh, dw) = window.kernel, window.stride, window.dilation
        return self.xp.lib.stride_tricks.as_strided(
            framed,
            (n, c, *window.output_size((h, w)), kh, kw),
            (sn, sc, sh * vstep, sw * hstep, sh * dh, sw * dw),
        )

    def fold(self, values: Array, window: Window, size: tuple[int, int]) -> Array:
        """Add each window's values back where the window stood: the transpose of `windows`.

        `values` (N, C, OH, OW, KH, KW) give images (N, C, H, W) of `size` (H, W).
        """
        n, c, oh, ow, kh, kw = values.shape
        (top, _), (left, _) = window.padding
        (vstep, hstep), (dh, dw) = window.stride, window.dilation
        framed = self.new_images((n, c, *window.padded_size(size)), values.dtype)
        for i in range(kh):
            rows = slice(i * dh, i * dh + vstep * (oh - 1) + 1, vstep)
            for j in range(kw):
                columns = slice(j * dw, j * dw + hstep * (ow - 1) + 1, hstep)
                framed[:, :, rows, columns] += values[:, :, :, :, i, j]
        return framed[:, :, top : top + size[0], left : left + size[1]]

    def im2col(self, x: Array, window: Window) -> Array:
        """Lay the windows of images (N, C, H, W) side by side as columns, (N, C*KH*KW, L)."""
        view = self.windows(x, window)
        n, c, oh, ow, kh, kw = view.shape
        return view.transpose(0, 1, 4, 5, 2, 3).reshape(n, c * kh * kw, oh * ow)

    def col2im(self, columns: Array, window: Window, size: tuple[int, int]) -> Array:
        """Add columns (N, C*KH*KW, L) back into images (N, C, H, W): the transpose of `im2col`."""
        n, c = columns.shape[0], columns.shape[1] // window.taps
        values = columns.reshape(n, c, *window.kernel, *window.output_size(size))
        return self.fold(values.transpose(0, 1, 4, 5, 2, 3), window, size)

    def _patches(self, x: Array, window: Window, groups: int) -> Array:
        """One row per window position, taps before channels, (G, N*L, KH*KW*C/G)."""
        view = self.windows(x, window)
        n, c, oh, ow, kh, kw = view.shape
        rows = view.transpose(0, 2, 3, 4, 5, 1).reshape(n * oh * ow, kh * kw, groups, c // groups)
        return rows.transpose(2, 0, 1, 3).reshape(groups, n * oh * ow, kh * kw * (c // groups))

    def _pixels(self, y: Array, groups: int) -> Array:
        """One row per pixel of images (N, O, OH, OW), (G, N*L, O/G)."""
        n, o, oh, ow = y.shape
        rows = y.transpose(0, 2, 3, 1).reshape(n * oh * ow, groups, o // groups)
        return rows.transpose(1, 0, 2)

    def _filters(self, weight: Array, groups: int) -> Array:
        """One row per filter, in the order of `_patches`, (G, O/G, KH*KW*C/G)."""
        o, c, kh, kw = weight.shape
        return weight.transpose(0, 2, 3, 1).reshape(groups, o // groups, kh * kw * c)

    def conv2d(
        self, x: Array, weight: Array, window: Window, groups: int, bias: Array | None = None
    ) -> Array:
        """Cross-correlate x (N, C, H, W) with weight (O, C/G, KH, KW): y (N, O, OH, OW)."""
        n, o = x.shape[0], weight.shape[0]
        oh, ow = window.output_size(x.shape[2:])
        filters = self._filters(weight, groups).transpose(0, 2, 1)
        y = self.matmul(self._patches(x, window, groups), filters)  # (G, N*L, O/G)
        y = y.transpose(1, 0, 2).reshape(n, oh, ow, o)
        return (y if bias is None else y + bias).transpose(0, 3, 1, 2)

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
        y = self.conv2d(x, weight, window, groups, bias)
        return self.relu(y if shortcut is None else self.add(shortcut, y))

    def conv2d_input(
        self, g: Array, weight: Array, window: Window, groups: int, size: tuple[int, int]
    ) -> Array:
        """Transpose of `conv2d` in x: carry g (N, O, OH, OW) back to images (N, C, H, W)."""
        n, _, oh, ow = g.shape
        _, c, kh, kw = weight.shape
        patches = self.matmul(self._pixels(g, groups), self._filters(weight, groups))
        values = patches.reshape(groups, n, oh, ow, kh, kw, c).transpose(1, 0, 6, 2, 3, 4, 5)
        return self.fold(values.reshape(n, groups * c, oh, ow, kh, kw), window, size)

    def conv2d_weight(self, g: Array, x: Array, window: Window, groups: int) -> Array:
        """Transpose of `conv2d` in the weight: g (N, O, OH, OW), x give (O, C/G, KH, KW)."""
        o, c = g.shape[1], x.shape[1] // groups
        pixels = self._pixels(g, groups).transpose(0, 2, 1)  # (G, O/G, N*L)
        weight = self.matmul(pixels, self._patches(x, window, groups))
        return weight.reshape(o, *window.kernel, c).transpose(0, 3, 1, 2)

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
        size = x.shape[2:]
        return (
            self.conv2d_input(g, weight, window, groups, size) if needs[0] else None,
            self.conv2d_weight(g, x, window, groups) if needs[1] else None,
        )
