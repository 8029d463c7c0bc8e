"""Depthwise convolution: every channel has one filter of its own, so that no product is a matrix's.

Letters as in `columns`. Each tap of the window is a shifted view of the images; multiplied by its
weights, one per channel, it is added to the result. Memory order makes (OW, C) one run.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .columns import Block, Columns, rows_per_chunk
from .windows import Window

Array = Any


class DepthwiseProducts:
    """The products of filters (C, KH, KW, 1, 1) with the windows of images (N, H, W, C).

    It has the methods of `Products` and has no state: several threads share it.

    Parameters
    ----------
    filters : array
    window : Window
    ow : int
        Outputs per row.

    Attributes
    ----------
    rows : int
        Rows of outputs that make a chunk.
    """

    def __init__(self, filters: Array, window: Window, ow: int) -> None:
        self._shape, self._window = filters.shape, window
        # Repeated along OW: a run of C values alone would be short.
        self._weights = np.tile(filters.reshape(filters.shape[:3]).transpose(1, 2, 0), ow)
        self.rows = rows_per_chunk(4 * len(filters), ow, filters.itemsize)

    def columns(self, images: Array, rows: int) -> Columns:
        """Return one thread's buffers for chunks of at most so many rows."""
        return Columns(images, self._window, 1, rows)

    def seen(self, columns: Columns, chunk: Block) -> Array:
        """Return what each tap sees, (KH, KW, images, rows, OW * C): a view where rows are runs."""
        windows = columns.windows(chunk)[0].transpose(3, 4, 0, 1, 2, 5)
        return windows.reshape(*windows.shape[:4], -1)

    def write(self, seen: Array, y: Array) -> None:
        """Write pixels of the result, (images * rows, OW, C)."""
        np.einsum("ijnrx,ijx->nrx", seen, self._weights, out=y.reshape(seen.shape[2:]))

    def sums(self, seen: Array, partner: Array) -> Array:
        """Multiply pixels (images * rows, OW, C) with what the taps see; sum over all lines."""
        return np.einsum("ijnrx,nrx->ijx", seen, partner.reshape(seen.shape[2:]))

    def as_filters(self, sums: Array) -> Array:
        """Bring such sums into the shape of the filters."""
        c, kh, kw, _, _ = self._shape
        return sums.reshape(kh, kw, -1, c).sum(2).transpose(2, 0, 1).reshape(self._shape)
