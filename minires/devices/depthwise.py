"""Depthwise convolution: every channel has one filter of its own, so that no product is a matrix's.

Letters as in `columns`. Each tap of the window is a shifted view of the images; multiplied by its
weights, one per channel, it is added to the result. Memory order makes (OW, C) one run.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from . import buffers, threads
from .columns import Block, Columns, rows_per_chunk
from .windows import Window

Array = Any


def correlate(
    images: Array,
    filters: Array,
    window: Window,
    bias: Array | None,
    partner: Array | None,
    parts: list[Block],
) -> tuple[Array, Array | None]:
    """Correlate images (N, H, W, C) with filters (C, KH, KW): (N, OH, OW, C).

    With a `partner` of the result's shape, also return the sums of products of its pixels with the
    taps, in the filters' shape.
    """
    n, h, w, c = images.shape
    oh, ow = window.output_size((h, w))
    y = buffers.empty((n, oh, ow, c), images.dtype)
    taps = list(itertools.product(*map(range, window.kernel)))
    rows = rows_per_chunk(4 * c, ow, y.itemsize)
    # Repeated along OW: a run of C values alone would be short.
    weights = {(i, j): np.tile(filters[:, i, j], (ow, 1)) for i, j in taps}
    shifts = None if bias is None else np.tile(bias, (ow, 1))

    def compute(part: Block) -> Array:
        sums = np.zeros(filters.shape)
        columns = Columns(images, window, 1, min(rows, part.rows))
        for chunk in part.chunks(rows):
            windows = columns.windows(chunk)  # (images, rows, OW, KH, KW, C)
            target = chunk.of(y).reshape(*windows.shape[:3], c)
            term = buffers.empty(target.shape, y.dtype)
            for i, j in taps:
                seen = windows[:, :, :, i, j]
                if i == j == 0:
                    np.multiply(seen, weights[i, j], out=target)
                else:
                    target += np.multiply(seen, weights[i, j], out=term)
                if partner is not None:
                    np.multiply(seen, chunk.of(partner).reshape(target.shape), out=term)
                    columnwise = np.ones(chunk.rows, y.dtype) @ term.reshape(chunk.rows, -1)
                    sums[:, i, j] += columnwise.reshape(ow, c).sum(0)
            if shifts is not None:
                target += shifts
        return sums

    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        found = threads.run(compute, parts)
    return y, None if partner is None else sum(found[1:], start=found[0]).astype(y.dtype)
