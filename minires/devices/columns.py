"""Chunks of a column matrix: im2col in pieces that stay in the processor's cache.

The column matrix of a whole batch is KH * KW times as large as the batch and would travel to main
memory and back. Here it exists one chunk at a time, in one buffer that every chunk overwrites.

Letters: images (N, H, W, B*C), channels last; outputs (N, OH, OW); kernel (KH, KW).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from . import buffers
from .windows import Window

Array = Any

# Bytes of columns per chunk. Smaller ones would stay in nearer caches, but each chunk also costs
# the interpreter some ten steps, which no two threads can take at the same time.
CHUNK = 1 << 21


class Block(NamedTuple):
    """Output pixels: of images `first` to `last`, the rows `top` to `bottom` (exclusive)."""

    first: int
    last: int
    top: int
    bottom: int

    @property
    def rows(self) -> int:
        """Number of rows of pixels."""
        return (self.last - self.first) * (self.bottom - self.top)

    def of(self, images: Array) -> Array:
        """View these pixels of dense images (N, OH, OW, O) as one run, (rows, OW, O)."""
        chosen = images[self.first : self.last, self.top : self.bottom]
        return chosen.reshape(-1, *images.shape[2:])

    def chunks(self, rows: int) -> Iterator[Block]:
        """Cut into blocks of at most so many rows: whole images, or rows of one image."""
        height = self.bottom - self.top
        if rows >= height:
            step = rows // height
            for first in range(self.first, self.last, step):
                yield self._replace(first=first, last=min(first + step, self.last))
            return
        for image in range(self.first, self.last):
            for top in range(self.top, self.bottom, rows):
                yield Block(image, image + 1, top, min(top + rows, self.bottom))


class Columns:
    """The columns of images, one chunk after the other in the same buffer.

    Parameters
    ----------
    x : array, (N, H, W, B*C)
        Images in any memory order; B blocks of channels have columns of their own.
    window : Window
    tau : int
        Neighbouring outputs that share one row of columns; it must divide OW, and be 1 unless
        the window's columns have stride and dilation 1.
    rows : int
        The most rows of outputs that a chunk will have.
    blocks : int
        B.
    """

    def __init__(self, x: Array, window: Window, tau: int, rows: int, blocks: int = 1) -> None:
        n, h, w, channels = x.shape
        c = channels // blocks
        self._x = x.reshape(n, h, w, blocks, c).transpose(3, 0, 1, 2, 4)
        self._window, self._dense = window, x
        self._frame: Array | None
        (kh, kw), (vstep, hstep), (dh, dw) = window.kernel, window.stride, window.dilation
        self._oh, ow = window.output_size((h, w))
        row = ow // tau, kh, kw + tau - 1, c
        padded = window.padding != ((0, 0), (0, 0))
        # Inside of a frame the rows of a window are one run of memory each.
        framed = padded or not x.flags.c_contiguous or (blocks > 1 and window.taps > 1)
        if framed:
            # The most images that a chunk can reach into, and the most rows of one of them.
            images = max(1, rows // self._oh)
            reach = (min(rows, self._oh) - 1) * vstep + window.extent[0]
            size = blocks, images, reach, window.padded_size((h, w))[1], c
            source = buffers.empty(size, x.dtype)
            left = window.padding[1][0]
            source[:, :, :, :left] = 0
            source[:, :, :, left + w :] = 0
            memory, self._frame = source, source
        else:
            memory, source, self._frame = x, self._x, None
        s0, s1, s2, s3, s4 = source.strides
        steps = (s0, s1, s2 * vstep, s3 * hstep * tau, s2 * dh, s3 * dw, s4)
        positions = (source.shape[1], (source.shape[2] - window.extent[0]) // vstep + 1)
        self._view = np.ndarray((blocks, *positions, *row), x.dtype, memory, 0, steps)
        self._matrix: Array | None = None
        self._size = blocks, rows, ow // tau, kh * (kw + tau - 1) * c
        # A 1x1 window over dense images: they are their own columns.
        self._copies = framed or window.taps * tau != 1 or vstep * hstep != 1

    def of(self, chunk: Block) -> Array:
        """Return the chunk's columns, (B, rows * OW / tau, KH * (KW + tau - 1) * C)."""
        if not self._copies:
            return by_blocks(chunk.of(self._dense), len(self._x))
        if self._matrix is None:
            self._matrix = buffers.empty(self._size, self._x.dtype)
        blocks, _, ow, width = self._size
        view, matrix = self.windows(chunk), self._matrix.reshape(-1)
        matrix = matrix[: blocks * chunk.rows * ow * width].reshape(blocks, -1, width)
        np.copyto(matrix.reshape(view.shape), view)
        return matrix

    def windows(self, chunk: Block) -> Array:
        """View the chunk's windows, (B, images, rows, OW / tau, KH, KW + tau - 1, C)."""
        if self._frame is None:
            return self._view[:, chunk.first : chunk.last, chunk.top : chunk.bottom]
        count = chunk.last - chunk.first
        self._fill(self._frame[:, :count], chunk)
        return self._view[:, :count, : chunk.bottom - chunk.top]

    def _fill(self, frame: Array, chunk: Block) -> None:
        """Copy what the chunk's windows see into the frame, with zeros above and below."""
        (above, _), (left, _) = self._window.padding
        _, _, h, w, _ = self._x.shape
        vstep, extent = self._window.stride[0], self._window.extent[0]
        start = chunk.top * vstep - above
        stop = (chunk.bottom - 1) * vstep - above + extent
        first, last = min(max(start, 0), h), max(min(stop, h), 0)
        frame[:, :, : first - start] = 0
        frame[:, :, max(last, first) - start : stop - start] = 0
        if first < last:
            seen = self._x[:, chunk.first : chunk.last, first:last]
            frame[:, :, first - start : last - start, left : left + w] = seen


def by_blocks(pixels: Array, blocks: int, tau: int = 1) -> Array:
    """View dense pixels (..., B*C) as rows of each block, (B, pixels / tau, tau * C)."""
    width = tau * pixels.shape[-1] // blocks
    return pixels.reshape(-1, blocks, width).transpose(1, 0, 2)


def rows_per_chunk(width: int, row: int, itemsize: int, filters: int = 0) -> int:
    """Return how many rows of `row` outputs, `width` columns each, make a chunk.

    Each chunk also reads filters of so many bytes, or sums as large: it should not be smaller.
    """
    return max(1, max(CHUNK, filters) // max(width * row * itemsize, 1))
