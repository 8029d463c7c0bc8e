"""Convolution as the NumPy device does it: blocked, channels-last, on several threads.

The mathematics stands in `convolution`, whose kernels these must equal. One matrix product per
chunk of columns writes straight into the result. With stride 1 the backward pass needs no col2im:
dx correlates the padded gradient g with the flipped filters, and the columns of g that this takes
give dw as well: dw[flipped tap] = x^T @ columns(g), with the pixels of x as rows.

Letters as in `columns`; O output channels, G groups, T neighbouring outputs in one row. Filters are
held as (KH, KW, C, O).
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from . import buffers, depthwise, threads
from .columns import Block, Columns, rows_per_chunk
from .convolution import ConvolutionKernels
from .layout import blas_computes, channels_first, channels_last
from .windows import Window

Array = Any
Size = tuple[int, int]

# Multiply-adds that a further thread must find to do, for it costs some 50 microseconds to wake.
GRAIN = 1 << 21
# Narrower products leave the processor's vectors half empty. Groups are joined up to this width,
# and images with no more channels have two outputs computed in one row.
NARROW = 16


class BlockedConvolution(ConvolutionKernels):
    """The kernels of `ConvolutionKernels` for float32 and float64, fast."""

    def conv2d(
        self, x: Array, weight: Array, window: Window, groups: int, bias: Array | None = None
    ) -> Array:
        """Cross-correlate x (N, C, H, W) with weight (O, C/G, KH, KW): y (N, O, OH, OW)."""
        if not blas_computes(x, weight):
            return super().conv2d(x, weight, window, groups, bias)
        filters = _joined(weight, groups, _per_block(weight.shape, groups, apart=True))
        images, mixed = x.transpose(0, 2, 3, 1), len(filters) < groups
        y, _, safe = _correlate(images, filters, window, bias=bias, mixed=mixed)
        return y if safe else super().conv2d(x, weight, window, groups, bias)

    def conv2d_input(
        self, g: Array, weight: Array, window: Window, groups: int, size: Size
    ) -> Array:
        """Transpose of `conv2d` in x: carry g (N, O, OH, OW) back to images (N, C, H, W)."""
        if not blas_computes(g, weight):
            return super().conv2d_input(g, weight, window, groups, size)
        mirrored = _mirrored(window)
        apart = mirrored is not None
        filters = _joined(weight, groups, _per_block(weight.shape, groups, apart))
        if mirrored is None:
            dx = _transposed(channels_last(g), filters, window, size)
            safe = len(filters) == groups or bool(np.isfinite(dx.sum()))
        else:
            dx, _, safe = _correlate(g.transpose(0, 2, 3, 1), _flipped(filters), mirrored)
        return dx if safe else super().conv2d_input(g, weight, window, groups, size)

    def conv2d_weight(self, g: Array, x: Array, window: Window, groups: int) -> Array:
        """Transpose of `conv2d` in the weight: g (N, O, OH, OW), x give (O, C/G, KH, KW)."""
        if not blas_computes(g, x):
            return super().conv2d_weight(g, x, window, groups)
        shape = g.shape[1], x.shape[1] // groups, *window.kernel
        joined = _per_block(shape, groups, apart=False)
        blocks = groups // joined, *window.kernel, joined * shape[1], joined * shape[0] // groups
        sums = _weight_sums(channels_last(g), x.transpose(0, 2, 3, 1), window, blocks)
        return _parted(sums, groups, shape)

    def conv2d_backward(
        self,
        g: Array,
        x: Array,
        weight: Array,
        window: Window,
        groups: int,
        needs: tuple[bool, ...],
    ) -> tuple[Array | None, Array | None]:
        """Both transposes at once, dx and dw, if `needs` asks for both: from the same columns."""
        mirrored = _mirrored(window)
        if mirrored is None or not all(needs) or not blas_computes(g, x, weight):
            return super().conv2d_backward(g, x, weight, window, groups, needs)
        filters = _flipped(_joined(weight, groups, _per_block(weight.shape, groups, apart=True)))
        images, partner = g.transpose(0, 2, 3, 1), channels_last(x)
        dx, sums, safe = _correlate(images, filters, mirrored, partner=partner)
        if not safe:
            return super().conv2d_backward(g, x, weight, window, groups, needs)
        return dx, _parted(_flipped(sums), groups, weight.shape)


def _per_block(shape: tuple[int, ...], groups: int, apart: bool) -> int:
    """Return how many groups to compute as one block: a divisor that keeps within `NARROW`.

    Channels that each have a filter of their own can also stay `apart`, for `depthwise`.
    """
    if apart and shape[1] == 1 and shape[0] == groups:
        return 1
    width = max(shape[0] // groups, shape[1])
    most = max(NARROW // width, 1)
    return max(j for j in range(1, min(most, groups) + 1) if groups % j == 0)


def _joined(weight: Array, groups: int, joined: int) -> Array:
    """Filters by blocks of `joined` groups, (B, KH, KW, C', O'), zero between different groups."""
    o, c, kh, kw = weight.shape
    shape = groups // joined, joined, o // groups, c, kh, kw
    filters = weight.reshape(shape).transpose(0, 1, 4, 5, 3, 2)  # (B, J, KH, KW, C/G, O/G)
    if joined == 1:
        return np.ascontiguousarray(filters[:, 0])
    blocks = np.zeros((shape[0], kh, kw, joined, c, joined, o // groups), weight.dtype)
    for j in range(joined):
        blocks[:, :, :, j, :, j] = filters[:, j]
    return blocks.reshape(shape[0], kh, kw, joined * c, joined * (o // groups))


def _parted(blocks: Array, groups: int, shape: tuple[int, ...]) -> Array:
    """Take the groups' filters, (O, C/G, KH, KW), out of their blocks: the way back."""
    (o, c, kh, kw), joined = shape, groups // len(blocks)
    parts = blocks.reshape(groups // joined, kh, kw, joined, c, joined, o // groups)
    weight = np.empty((groups // joined, joined, o // groups, c, kh, kw), blocks.dtype)
    for j in range(joined):
        weight[:, j] = parts[:, :, :, j, :, j].transpose(0, 4, 3, 1, 2)
    return weight.reshape(shape)


def _flipped(filters: Array) -> Array:
    """Turn filters (B, KH, KW, C, O) round and swap their channels: (B, KH, KW, O, C)."""
    return filters[:, ::-1, ::-1].swapaxes(3, 4)


def _mirrored(window: Window) -> Window | None:
    """Return the window that carries gradients back by correlation, if there is one.

    With stride 1 it pads by what the forward window's own padding leaves of its extent.
    """
    if window.stride != (1, 1):
        return None
    frames = [
        (extent - 1 - before, extent - 1 - after)
        for (before, after), extent in zip(window.padding, window.extent, strict=True)
    ]
    if min(frames[0] + frames[1]) < 0:
        return None
    return window._replace(padding=(frames[0], frames[1]))


def _outputs_per_row(window: Window, channels: int, ow: int) -> int:
    """Return T: 2 where windows of neighbouring outputs overlap and products are narrow."""
    overlap = window.kernel[1] > 1 and window.stride[1] == window.dilation[1] == 1
    return 2 if overlap and channels <= NARROW and ow % 2 == 0 else 1


def _table(filters: Array, t: int) -> Array:
    """Filters (KH, KW, C, O) as the right side of the product, (KH*(KW+T-1)*C, T*O).

    Output number i of a row sees its own KW of the row's KW + T - 1 pixels: a Toeplitz matrix.
    """
    kh, kw, c, o = filters.shape
    if t == 1:
        return filters.reshape(-1, o)
    table = np.zeros((kh, kw + t - 1, c, t, o), filters.dtype)
    for i in range(t):
        table[:, i : i + kw, :, i] = filters
    return table.reshape(-1, t * o)


def _untabled(table: Array, filters: tuple[int, ...], t: int) -> Array:
    """Sum over the T places at which `_table` wrote each filter: its transpose."""
    kh, kw, c, o = filters
    placed = table.reshape(kh, kw + t - 1, c, t, o)
    total = placed[:, :kw, :, 0].copy()
    for i in range(1, t):
        total += placed[:, i : i + kw, :, i]
    return total


def _parts(shape: tuple[int, int], work: int, by_rows: bool = True) -> list[Block]:
    """Cut outputs of N images with OH rows into one block per thread that finds enough to do.

    Whole images if there are enough of them, else rows of each image.
    """
    n, oh = shape
    number = len(threads.shares(max(work, 1), GRAIN))
    if n >= number or not by_rows:
        spans = [slice(n * i // number, n * (i + 1) // number) for i in range(number)]
        return [Block(span.start, span.stop, 0, oh) for span in spans if span.start < span.stop]
    cuts = min(-(-number // n), oh)
    edges = [oh * i // cuts for i in range(cuts + 1)]
    return [
        Block(image, image + 1, top, bottom)
        for image in range(n)
        for top, bottom in itertools.pairwise(edges)
    ]


def _correlate(
    images: Array,
    filters: Array,
    window: Window,
    bias: Array | None = None,
    partner: Array | None = None,
    mixed: bool = True,
) -> tuple[Array, Array | None, bool]:
    """Correlate images (N, H, W, B*C) with filters (B, KH, KW, C, O).

    With a `partner` (N, OH, OW, B*O), also return the sums of products of its pixels with the
    columns, in the filters' shape.

    The last thing returned tells whether the result is safe. Zeros stand in the tables of T > 1
    and of joined groups, and around a gradient; `mixed` tells of the latter two. Where they meet
    an infinity or a NaN they make a NaN of what should not have seen it at all.
    """
    count, kh, kw, c, o = filters.shape
    n, oh, ow = images.shape[0], *window.output_size(images.shape[1:3])
    parts = _parts((n, oh), n * oh * ow * filters.size)
    if c == o == 1:
        y, sums = depthwise.correlate(images, filters[..., 0, 0], window, bias, partner, parts)
        safe = not mixed or bool(np.isfinite(y.sum()))
        if sums is None:
            return channels_first(y), None, safe
        return (
            channels_first(y),
            sums.reshape(filters.shape),
            safe and bool(np.isfinite(sums).all()),
        )
    y = buffers.empty((n, oh, ow, count * o), images.dtype)
    t = _outputs_per_row(window, max(c, o), ow) if count == 1 else 1
    tables = [_table(block, t) for block in filters]
    rows = rows_per_chunk(max(tables[0].shape), ow // t, y.itemsize)
    shifts = None if bias is None else np.tile(bias, t)

    mixed = mixed or t > 1

    def compute(part: Block) -> tuple[list[Array | None], bool]:
        sums: list[Array | None] = []
        safe = True
        for index, table in enumerate(tables):
            seen = images[..., index * c : (index + 1) * c]
            columns = Columns(seen, window, t, min(rows, part.rows))
            across = slice(index * t * o, (index + 1) * t * o)
            total = product = None
            if partner is not None:
                total, product = np.zeros((2, *table.shape), y.dtype)
            for chunk in part.chunks(rows):
                matrix = columns.of(chunk)
                target = chunk.of(y).reshape(-1, count * t * o)[:, across]
                np.matmul(matrix, table, out=target)
                if mixed and partner is None:
                    # While the chunk lies in the cache, its sum costs little.
                    safe = safe and bool(np.isfinite(target.sum()))
                if shifts is not None:
                    target += shifts[across]
                if partner is not None:
                    pixels = chunk.of(partner).reshape(-1, count * t * o)[:, across]
                    total += np.matmul(matrix.T, pixels, out=product)
            sums.append(total)
        return sums, safe

    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        found = threads.run(compute, parts)
    safe = all(part_is_safe for _, part_is_safe in found)
    if partner is None:
        return channels_first(y), None, safe
    totals = [
        _untabled(sum(sums[1:], start=sums[0]), (kh, kw, c, o), t)
        for sums in zip(*(part for part, _ in found), strict=True)
    ]
    # Every pixel of both sides has a part in these sums: where they are finite, so are all pixels.
    safe = bool(np.isfinite(totals).all() and np.isfinite(filters).all())
    return channels_first(y), np.stack(totals), safe


def _transposed(g: Array, filters: Array, window: Window, size: Size) -> Array:
    """Carry g (N, OH, OW, B*O) back to images (N, C, H, W) through any window, by col2im."""
    count, kh, kw, c, o = filters.shape
    ow, tables = g.shape[2], filters.reshape(count, -1, o)
    rows = rows_per_chunk(tables.shape[1], ow, g.itemsize)
    dx = buffers.empty((len(g), *size, count * c), g.dtype)
    dx[...] = 0

    def compute(part: Block) -> None:
        buffer = buffers.empty((min(rows, part.rows) * ow, tables.shape[1]), g.dtype)
        for index, table in enumerate(tables):
            for chunk in part.chunks(rows):
                pixels = chunk.of(g).reshape(-1, count * o)[:, index * o : (index + 1) * o]
                columns = np.matmul(pixels, table.T, out=buffer[: len(pixels)])
                shape = chunk.last - chunk.first, chunk.bottom - chunk.top, ow, kh, kw, c
                target = dx[..., index * c : (index + 1) * c]
                _fold(columns.reshape(shape), target, chunk, window)

    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        # Neighbouring rows of one image would be added to by two threads at once.
        threads.run(compute, _parts(g.shape[:2], g.size * tables.shape[1], by_rows=False))
    return channels_first(dx)


def _weight_sums(g: Array, images: Array, window: Window, shape: tuple[int, ...]) -> Array:
    """Sum the products of columns of images (N, H, W, B*C) with pixels of g (N, OH, OW, B*O).

    `shape` is that of the filters, (B, KH, KW, C, O).
    """
    count, _, _, c, o = shape
    width = shape[1] * shape[2] * c
    rows = rows_per_chunk(width, g.shape[2], g.itemsize)

    def compute(part: Block) -> Array:
        total, product = np.zeros((count, width, o), g.dtype), np.empty((width, o), g.dtype)
        for index in range(count):
            seen = images[..., index * c : (index + 1) * c]
            columns = Columns(seen, window, 1, min(rows, part.rows))
            for chunk in part.chunks(rows):
                pixels = chunk.of(g).reshape(-1, count * o)[:, index * o : (index + 1) * o]
                total[index] += np.matmul(columns.of(chunk).T, pixels, out=product)
        return total

    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        found = threads.run(compute, _parts(g.shape[:2], g.size * width))
    return sum(found[1:], start=found[0]).reshape(shape)


def _fold(spread: Array, dx: Array, chunk: Block, window: Window) -> None:
    """Add columns (b, r, OW, KH, KW, C) of a chunk to the images (N, H, W, C) they came from."""
    b, r, ow, kh, kw, c = spread.shape
    (above, _), (left, _) = window.padding
    (vstep, hstep), (dh, dw) = window.stride, window.dilation
    _, h, w, _ = dx.shape
    start = chunk.top * vstep - above
    height = (r - 1) * vstep + window.extent[0]
    frame = buffers.empty((b, height, window.padded_size((h, w))[1], c), dx.dtype)
    frame[...] = 0
    for i in range(kh):
        for j in range(kw):
            rows = slice(i * dh, i * dh + vstep * (r - 1) + 1, vstep)
            columns = slice(j * dw, j * dw + hstep * (ow - 1) + 1, hstep)
            frame[:, rows, columns] += spread[:, :, :, i, j]
    first, last = max(start, 0), min(start + height, h)
    if first < last:
        inside = frame[:, first - start : last - start, left : left + w]
        dx[chunk.first : chunk.last, first:last] += inside
