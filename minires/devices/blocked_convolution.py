"""Convolution as the NumPy device does it: blocked, channels-last, on several threads.

The mathematics stands in `convolution`, whose kernels these must equal. One matrix product per
chunk of columns writes straight into the result. With stride 1 the backward pass needs no col2im:
dx correlates the padded gradient g with the flipped filters, and the columns of g that this takes
give dw as well: dw[flipped tap] = x^T @ columns(g), with the pixels of x as rows.

Letters as in `columns`; B blocks of channels, each of one group or several; O output channels of a
block, G groups, T neighbouring outputs in one row. Filters are held as (B, KH, KW, C, O).
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import numpy as np

from . import buffers, threads
from .columns import Block, Columns, by_blocks, rows_per_chunk
from .convolution import ConvolutionKernels
from .depthwise import DepthwiseProducts
from .finish import Finish
from .layout import blas_computes, channels_first, channels_last
from .windows import Window

Array = Any
Size = tuple[int, int]

# Multiply-adds that a further thread must find to do, for it costs some 50 microseconds to wake.
GRAIN = 1 << 21
# Narrower products leave the processor's vectors half empty. Groups are joined up to this width,
# and images with no more channels have two outputs computed in one row.
NARROW = 16
# Channels at a time when filters change their order: what is read of each line of memory then
# stays in the cache until the rest of it is wanted.
LINES = 16


class BlockedConvolution(ConvolutionKernels):
    """The kernels of `ConvolutionKernels` for float32 and float64, fast."""

    def conv2d(
        self, x: Array, weight: Array, window: Window, groups: int, bias: Array | None = None
    ) -> Array:
        """Cross-correlate x (N, C, H, W) with weight (O, C/G, KH, KW): y (N, O, OH, OW)."""
        y = _forward(x, weight, window, groups, bias)
        return super().conv2d(x, weight, window, groups, bias) if y is None else y

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
        y = _forward(x, weight, window, groups, bias, shortcut, rectify=True)
        if y is None:
            return super().conv2d_relu(x, weight, window, groups, bias, shortcut)
        return y

    def conv2d_input(
        self, g: Array, weight: Array, window: Window, groups: int, size: Size
    ) -> Array:
        """Transpose of `conv2d` in x: carry g (N, O, OH, OW) back to images (N, C, H, W)."""
        if not blas_computes(g, weight):
            return super().conv2d_input(g, weight, window, groups, size)
        mirrored = _mirrored(window)
        apart = mirrored is not None
        filters = _joined(weight, groups, _per_block(weight.shape, groups, apart), flipped=apart)
        if mirrored is None:
            dx = _transposed(channels_last(g), filters, window, size)
            with np.errstate(invalid="ignore", over="ignore"):
                safe = len(filters) == groups or bool(np.isfinite(dx.sum()))
        else:
            images = g.transpose(0, 2, 3, 1)
            dx, _, safe = _correlate(images, filters, mirrored, Finish())
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
        joined = _per_block(weight.shape, groups, apart=True)
        filters = _joined(weight, groups, joined, flipped=True)
        images, partner = g.transpose(0, 2, 3, 1), channels_last(x)
        dx, sums, safe = _correlate(images, filters, mirrored, Finish(), partner)
        if not safe:
            return super().conv2d_backward(g, x, weight, window, groups, needs)
        return dx, _parted(_flipped(sums), groups, weight.shape)


def _forward(
    x: Array,
    weight: Array,
    window: Window,
    groups: int,
    bias: Array | None,
    shortcut: Array | None = None,
    rectify: bool = False,
) -> Array | None:
    """Return relu(conv2d(x) + shortcut), of which all but the convolution may be left out.

    None stands for what the plain kernels must compute.
    """
    if not blas_computes(x, weight):
        return None
    filters = _joined(weight, groups, _per_block(weight.shape, groups, apart=True))
    finish = Finish(bias, None if shortcut is None else channels_last(shortcut), rectify)
    images, mixed = x.transpose(0, 2, 3, 1), len(filters) < groups
    y, _, safe = _correlate(images, filters, window, finish, mixed=mixed)
    return y if safe else None


def _per_block(shape: tuple[int, ...], groups: int, apart: bool) -> int:
    """Return how many groups to compute as one block: a divisor that keeps within `NARROW`.

    Channels that each have a filter of their own can also stay `apart`, for `depthwise`.
    """
    if apart and shape[1] == 1 and shape[0] == groups:
        return 1
    width = max(shape[0] // groups, shape[1])
    most = max(NARROW // width, 1)
    return max(j for j in range(1, min(most, groups) + 1) if groups % j == 0)


def _joined(weight: Array, groups: int, joined: int, flipped: bool = False) -> Array:
    """Filters by blocks of `joined` groups, (B, KH, KW, C', O'), zero between different groups.

    Or the same `_flipped`.
    """
    o, c, kh, kw = weight.shape
    shape = groups // joined, joined, o // groups, c, kh, kw
    filters = weight.reshape(shape).transpose(0, 1, 4, 5, 3, 2)  # (B, J, KH, KW, C/G, O/G)
    if joined == 1:
        view = _flipped(filters[:, 0]) if flipped else filters[:, 0]
        # BLAS takes the filters of single pixels transposed, as they stand.
        return view if kh == kw == 1 else _dense(view)
    blocks = np.zeros((shape[0], kh, kw, joined, c, joined, o // groups), weight.dtype)
    for j in range(joined):
        blocks[:, :, :, j, :, j] = filters[:, j]
    together = blocks.reshape(shape[0], kh, kw, joined * c, joined * (o // groups))
    return _flipped(together) if flipped else together


def _dense(array: Array) -> Array:
    """Copy filters (B, KH, KW, C, O) into C order."""
    dense = buffers.empty(array.shape, array.dtype)
    for start in range(0, array.shape[3], LINES):
        dense[..., start : start + LINES, :] = array[..., start : start + LINES, :]
    return dense


def _parted(blocks: Array, groups: int, shape: tuple[int, ...]) -> Array:
    """Take the groups' filters, (O, C/G, KH, KW), out of their blocks: the way back."""
    (o, c, kh, kw), joined = shape, groups // len(blocks)
    parts = blocks.reshape(groups // joined, kh, kw, joined, c, joined, o // groups)
    # Of memory that the activations leave, while the backward pass lets go of them.
    weight = buffers.empty((groups // joined, joined, o // groups, c, kh, kw), blocks.dtype)
    for j in range(joined):
        part = parts[:, :, :, j, :, j].transpose(0, 4, 3, 1, 2)
        for start in range(0, c, LINES):
            weight[:, j, :, start : start + LINES] = part[:, :, start : start + LINES]
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


def _outputs_per_row(window: Window, filters: tuple[int, ...], ow: int) -> int:
    """Return T: 2 where windows of neighbouring outputs overlap and products are narrow."""
    overlap = window.kernel[1] > 1 and window.stride[1] == window.dilation[1] == 1
    narrow = filters[0] == 1 and max(filters[3:]) <= NARROW
    return 2 if overlap and narrow and ow % 2 == 0 else 1


def _tables(filters: Array, t: int) -> Array:
    """Filters (B, KH, KW, C, O) as right sides of products, (B, KH*(KW+T-1)*C, T*O).

    Output number i of a row sees its own KW of the row's KW + T - 1 pixels: a Toeplitz matrix.
    """
    count, kh, kw, c, o = filters.shape
    if t == 1:
        return filters.reshape(count, -1, o)
    tables = np.zeros((count, kh, kw + t - 1, c, t, o), filters.dtype)
    for i in range(t):
        tables[:, :, i : i + kw, :, i] = filters
    return tables.reshape(count, -1, t * o)


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
    finish_with: Finish,
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
    n, oh, ow = images.shape[0], *window.output_size(images.shape[1:3])
    products: Products | DepthwiseProducts
    if filters.shape[3:] == (1, 1):
        products = DepthwiseProducts(filters, window, ow)
    else:
        products = Products(filters, window, ow)
        mixed = mixed or products.t > 1
    y = buffers.empty((n, oh, ow, filters.shape[0] * filters.shape[4]), images.dtype)
    finish = finish_with.of(y)

    def compute(part: Block) -> tuple[Any, bool]:
        rows = min(products.rows, part.rows)
        columns, total, safe = products.columns(images, rows), None, True
        for chunk in part.chunks(rows):
            seen, pixels = products.seen(columns, chunk), chunk.of(y)
            products.write(seen, pixels)
            if partner is not None:
                total = _added(total, products.sums(seen, chunk.of(partner)))
            elif mixed:
                # While the chunk lies in the cache, its sum costs little.
                safe = safe and bool(np.isfinite(pixels.sum()))
            finish(chunk)
        return total, safe

    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        found = threads.run(compute, _parts((n, oh), n * oh * ow * filters.size))
    if partner is None:
        return channels_first(y), None, all(safe for _, safe in found)
    sums = products.as_filters(functools.reduce(_added, [total for total, _ in found]))
    # Every pixel of both sides has a part in these sums: where they are finite, so are all pixels.
    safe = bool(np.isfinite(sums).all() and np.isfinite(filters).all())
    return channels_first(y), sums, safe


class Products:
    """The products of filters (B, KH, KW, C, O) with the columns of images (N, H, W, B*C).

    It has no state: several threads share it.

    Parameters
    ----------
    filters : array
    window : Window
    ow : int
        Outputs per row.

    Attributes
    ----------
    t : int
        T.
    rows : int
        Rows of outputs that make a chunk.
    """

    def __init__(self, filters: Array, window: Window, ow: int) -> None:
        self._shape, self._window = filters.shape, window
        self.t = _outputs_per_row(window, filters.shape, ow)
        self._tables = _tables(filters, self.t)
        width = len(filters) * max(self._tables.shape[1:])
        self.rows = rows_per_chunk(width, ow // self.t, filters.itemsize, filters.nbytes)

    def columns(self, images: Array, rows: int) -> Columns:
        """Return one thread's buffers for chunks of at most so many rows."""
        return Columns(images, self._window, self.t, rows, self._shape[0])

    def seen(self, columns: Columns, chunk: Block) -> Array:
        """Return the columns, (B, images * rows * OW / T, KH * (KW + T - 1) * C)."""
        return columns.of(chunk)

    def write(self, seen: Array, y: Array) -> None:
        """Write pixels of the result, (images * rows, OW, B*O)."""
        np.matmul(seen, self._tables, out=by_blocks(y, len(seen), self.t))

    def sums(self, seen: Array, partner: Array) -> Array:
        """Multiply pixels (images * rows, OW, B*O) with the columns; sum over all pixels."""
        return _sums(seen, by_blocks(partner, len(seen), self.t))

    def as_filters(self, sums: Array) -> Array:
        """Bring such sums into the shape of the filters: the transpose of `_tables`."""
        count, kh, kw, c, o = self._shape
        if self.t == 1:
            return sums.reshape(self._shape)
        placed = sums.reshape(count, kh, kw + self.t - 1, c, self.t, o)
        total = placed[:, :, :kw, :, 0].copy()
        for i in range(1, self.t):
            total += placed[:, :, i : i + kw, :, i]
        return total


def _transposed(g: Array, filters: Array, window: Window, size: Size) -> Array:
    """Carry g (N, OH, OW, B*O) back to images (N, C, H, W) through any window, by col2im."""
    count, kh, kw, c, o = filters.shape
    ow, tables = g.shape[2], filters.reshape(count, -1, o).transpose(0, 2, 1)
    width = tables.shape[2]
    rows = rows_per_chunk(count * width, ow, g.itemsize)
    dx = buffers.empty((len(g), *size, count * c), g.dtype)
    dx[...] = 0
    blocks = dx.reshape(len(g), *size, count, c).transpose(3, 0, 1, 2, 4)

    def compute(part: Block) -> None:
        buffer = buffers.empty((min(rows, part.rows) * ow * count * width,), g.dtype)
        for chunk in part.chunks(rows):
            pixels = by_blocks(chunk.of(g), count)
            spread = buffer[: pixels.shape[1] * count * width].reshape(count, -1, width)
            np.matmul(pixels, tables, out=spread)
            shape = count, chunk.last - chunk.first, chunk.bottom - chunk.top, ow, kh, kw, c
            _fold(spread.reshape(shape), blocks, chunk, window)

    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        # Neighbouring rows of one image would be added to by two threads at once.
        threads.run(compute, _parts(g.shape[:2], g.size * width, by_rows=False))
    return channels_first(dx)


def _weight_sums(g: Array, images: Array, window: Window, shape: tuple[int, ...]) -> Array:
    """Sum the products of columns of images (N, H, W, B*C) with pixels of g (N, OH, OW, B*O).

    `shape` is that of the filters, (B, KH, KW, C, O).
    """
    count, kh, kw, c, _ = shape
    width = kh * kw * c
    size = math.prod(shape) * g.itemsize
    rows = rows_per_chunk(count * width, g.shape[2], g.itemsize, size)

    def compute(part: Block) -> Array | None:
        columns, total = Columns(images, window, 1, min(rows, part.rows), count), None
        for chunk in part.chunks(rows):
            seen, pixels = columns.of(chunk), by_blocks(chunk.of(g), count)
            total = _added(total, _sums(seen, pixels))
        return total

    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        found = threads.run(compute, _parts(g.shape[:2], g.size * width))
    total: Array = functools.reduce(_added, found)
    return total.reshape(shape)


def _sums(columns: Array, pixels: Array) -> Array:
    """Sum products of columns (B, rows, I) with pixels (B, rows, O) over the rows: (B, I, O)."""
    sums = buffers.empty((len(columns), columns.shape[2], pixels.shape[2]), columns.dtype)
    return np.matmul(columns.transpose(0, 2, 1), pixels, out=sums)


def _added(total: Array | None, more: Array) -> Array:
    """Add to a total that has begun, in its own memory."""
    if total is None:
        return more
    total += more
    return total


def _fold(spread: Array, dx: Array, chunk: Block, window: Window) -> None:
    """Add columns (B, n, r, OW, KH, KW, C) of a chunk to the images (B, N, H, W, C) they are of."""
    count, n, r, ow, kh, kw, c = spread.shape
    (above, _), (left, _) = window.padding
    (vstep, hstep), (dh, dw) = window.stride, window.dilation
    h, w = dx.shape[2:4]
    start = chunk.top * vstep - above
    height = (r - 1) * vstep + window.extent[0]
    frame = buffers.empty((count, n, height, window.padded_size((h, w))[1], c), dx.dtype)
    frame[...] = 0
    for i in range(kh):
        for j in range(kw):
            rows = slice(i * dh, i * dh + vstep * (r - 1) + 1, vstep)
            columns = slice(j * dw, j * dw + hstep * (ow - 1) + 1, hstep)
            frame[:, :, rows, columns] += spread[:, :, :, :, i, j]
    first, last = max(start, 0), min(start + height, h)
    if first < last:
        inside = frame[:, :, first - start : last - start, left : left + w]
        dx[:, chunk.first : chunk.last, first:last] += inside
