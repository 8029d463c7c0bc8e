"""Chunks of a column matrix: im2col in pieces that stay in the processor's cache.

The column matrix of a whole batch is KH * KW times as large as the batch and would travel to main
memory and back. Here it exists one chunk at a time, in one buffer that every chunk overwrites.

Letters: images (N, H, W, C), channels last; outputs (N, OH, OW); kernel (KH, KW).
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
CHUNK = 3 << 19


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
    x : array, (N, H, W, C)
        Images in any memory order.
    window : Window
    tau : int
        Neighbouring outputs that share one row of columns; it must divide OW, and be 1 unless
        the window's columns have stride and dilation 1.
    rows : int
        The most rows of outputs that a chunk will have.

    Attributes
    ----------
    width : int
        Columns per row, KH * (KW + tau - 1) * C.
    """

    def __init__(self, x: Array, window: Window, tau: int, rows: int) -> None:
        _, h, w, c = x.shape
        self._x, self._window, self._tau = x, window, tau
        (kh, kw), (vstep, hstep), (dh, dw) = window.kernel, window.stride, window.dilation
        self._oh, ow = window.output_size((h, w))
        self._row = (ow // tau, kh, kw + tau - 1, c)
        self.width = kh * (kw + tau - 1) * c
        framed = window.padding != ((0, 0), (0, 0)) or not x.flags.c_contiguous
        if framed:
            # The most images that a chunk can reach into, and the most rows of one of them.
            images = max(1, rows // self._oh)
            reach = (min(rows, self._oh) - 1) * vstep + window.extent[0]
            source = buffers.empty((images, reach, window.padded_size((h, w))[1], c), x.dtype)
            left = window.padding[1][0]
            source[:, :, :left] = 0
            source[:, :, left + w :] = 0
            self._frame: Array | None = source
        else:
            self._frame, source = None, x
        s0, s1, s2, s3 = source.strides
        steps = (s0, s1 * vstep, s2 * hstep * tau, s1 * dh, s2 * dw, s3)
        positions = (source.shape[0], (source.shape[1] - window.extent[0]) // vstep + 1)
        self._view = np.ndarray((*positions, *self._row), x.dtype, source, 0, steps)
        self._matrix: Array | None = None
        self._size = rows, ow // tau, self.width
        # A 1x1 window over dense images: they are their own columns.
        self._copies = framed or self.width != c or vstep * hstep != 1

    def of(self, chunk: Block) -> Array:
        """Return the chunk's columns, (rows * OW / tau, KH * (KW + tau - 1) * C)."""
        if not self._copies:
            return chunk.of(self._x).reshape(-1, self.width)
        if self._matrix is None:
            self._matrix = buffers.empty(self._size, self._x.dtype)
        view, matrix = self.windows(chunk), self._matrix[: chunk.rows]
        np.copyto(matrix.reshape(view.shape), view)
        return matrix.reshape(-1, self.width)

    def windows(self, chunk: Block) -> Array:
        """View the chunk's windows without copying, (images, rows, OW/tau, KH, KW + tau - 1, C)."""
        if self._frame is None:
            return self._view[chunk.first : chunk.last, chunk.top : chunk.bottom]
        count = chunk.last - chunk.first
        self._fill(self._frame[:count], chunk)
        return self._view[:count, : chunk.bottom - chunk.top]

    def _fill(self, frame: Array, chunk: Block) -> None:
        """Copy what the chunk's windows see into the frame, with zeros above and below."""
        (above, _), (left, _) = self._window.padding
        _, h, w, _ = self._x.shape
        vstep, extent = self._window.stride[0], self._window.extent[0]
        start = chunk.top * vstep - above
        stop = (chunk.bottom - 1) * vstep - above + extent
        first, last = min(max(start, 0), h), max(min(stop, h), 0)
        frame[:, : first - start] = 0
        frame[:, max(last, first) - start : stop - start] = 0
        if first < last:
            seen = self._x[chunk.first : chunk.last, first:last]
            frame[:, first - start : last - start, left : left + w] = seen


def rows_per_chunk(width: int, row: int, itemsize: int) -> int:
    """Return how many rows of `row` outputs, `width` columns each, make a chunk."""
    return max(1, CHUNK // max(width * row * itemsize, 1))
