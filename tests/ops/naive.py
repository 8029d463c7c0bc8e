"""Windows over images, one number at a time: too slow for use, too plain to be wrong.

Letters: N images, C channels, (H, W) size, O filters, G groups, (KH, KW) kernel, (OH, OW) output.
`placed` pairs (i, KH index) with the row it reads, which may lie in the padding.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

Pair = tuple[int, int]


def count(n: int, k: int, stride: int, padding: int, dilation: int) -> int:
    """Window positions along an axis of n, by trying them out."""
    positions = 0
    while positions * stride + (k - 1) * dilation < n + 2 * padding:
        positions += 1
    return positions


def sizes(size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> list[int]:
    return [count(*axis) for axis in zip(size, kernel, stride, padding, dilation, strict=True)]


def taps(
    size: Pair, out: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Iterator[tuple[int, int, int, int, int, int]]:
    """(i, j, a, b, row, column): window (i, j) sees through its tap (a, b) a real pixel."""
    for i, j, a, b in product(range(out[0]), range(out[1]), range(kernel[0]), range(kernel[1])):
        row = i * stride[0] - padding[0] + a * dilation[0]
        column = j * stride[1] - padding[1] + b * dilation[1]
        if 0 <= row < size[0] and 0 <= column < size[1]:
            yield i, j, a, b, row, column


def conv2d(x, weight, bias, stride, padding, dilation, groups):
    n, channels, *size = x.shape
    o, per_group, *kernel = weight.shape
    out = sizes(size, kernel, stride, padding, dilation)
    y = np.zeros((n, o, *out))
    for i, j, a, b, row, column in taps(size, out, kernel, stride, padding, dilation):
        for image, f, c in product(range(n), range(o), range(per_group)):
            channel = f // (o // groups) * (channels // groups) + c
            y[image, f, i, j] += x[image, channel, row, column] * weight[f, c, a, b]
    return y if bias is None else y + bias[:, None, None]


def conv_transpose2d(x, weight, bias, stride, padding, output_padding, groups, dilation):
    n, channels, h, w = x.shape
    _, per_group, *kernel = weight.shape
    size = [
        (m - 1) * s - 2 * p + d * (k - 1) + 1 + e
        for m, s, p, d, k, e in zip(
            (h, w), stride, padding, dilation, kernel, output_padding, strict=True
        )
    ]
    y = np.zeros((n, per_group * groups, *size))
    for i, j, a, b, row, column in taps(size, (h, w), kernel, stride, padding, dilation):
        for image, c, f in product(range(n), range(channels), range(per_group)):
            filter_ = c // (channels // groups) * per_group + f
            y[image, filter_, row, column] += x[image, c, i, j] * weight[c, f, a, b]
    return y if bias is None else y + bias[:, None, None]


def conv2d_weight(g, x, kernel, stride, padding, dilation, groups):
    """dL/dweight of `conv2d`, from g = dL/dy."""
    n, o, *out = g.shape
    channels = x.shape[1]
    dw = np.zeros((o, channels // groups, *kernel))
    for i, j, a, b, row, column in taps(x.shape[2:], out, kernel, stride, padding, dilation):
        for image, f, c in product(range(n), range(o), range(channels // groups)):
            channel = f // (o // groups) * (channels // groups) + c
            dw[f, c, a, b] += g[image, f, i, j] * x[image, channel, row, column]
    return dw


def im2col(x, kernel, stride, padding, dilation):
    n, c, *size = x.shape
    out = sizes(size, kernel, stride, padding, dilation)
    columns = np.zeros((n, c, *kernel, *out))
    for i, j, a, b, row, column in taps(size, out, kernel, stride, padding, dilation):
        columns[:, :, a, b, i, j] = x[:, :, row, column]
    return columns.reshape(n, c * kernel[0] * kernel[1], out[0] * out[1])


def col2im(columns, size, kernel, stride, padding, dilation):
    out = sizes(size, kernel, stride, padding, dilation)
    n, c = columns.shape[0], columns.shape[1] // (kernel[0] * kernel[1])
    values = columns.reshape(n, c, *kernel, *out)
    x = np.zeros((n, c, *size))
    for i, j, a, b, row, column in taps(size, out, kernel, stride, padding, dilation):
        x[:, :, row, column] += values[:, :, a, b, i, j]
    return x


def pooled_size(size, kernel, stride, padding, dilation, ceil_mode) -> list[int]:
    """Output size; in ceil mode a last window may reach out, if it begins on a pixel."""
    out = sizes(size, kernel, stride, padding, dilation)
    if not ceil_mode:
        return out
    for axis in (0, 1):
        reach = (kernel[axis] - 1) * dilation[axis]
        covers_all = (out[axis] - 1) * stride[axis] + reach >= size[axis] + 2 * padding[axis] - 1
        begins_on_a_pixel = out[axis] * stride[axis] < size[axis] + padding[axis]
        out[axis] += not covers_all and begins_on_a_pixel
    return out


def max_pool2d(x, kernel, stride, padding, dilation, ceil_mode):
    n, c, *size = x.shape
    out = pooled_size(size, kernel, stride, padding, dilation, ceil_mode)
    y = np.full((n, c, *out), -np.inf)
    for i, j, _, _, row, column in taps(size, out, kernel, stride, padding, dilation):
        y[:, :, i, j] = np.maximum(y[:, :, i, j], x[:, :, row, column])
    return y


def window_sums(x, out, kernel, stride, padding):
    y = np.zeros((*x.shape[:2], *out))
    for i, j, _, _, row, column in taps(x.shape[2:], out, kernel, stride, padding, (1, 1)):
        y[:, :, i, j] += x[:, :, row, column]
    return y


def spread_sums(g, size, kernel, stride, padding):
    x = np.zeros((*g.shape[:2], *size))
    for i, j, _, _, row, column in taps(size, g.shape[2:], kernel, stride, padding, (1, 1)):
        x[:, :, row, column] += g[:, :, i, j]
    return x


def avg_pool2d(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor):
    size = x.shape[2:]
    out = pooled_size(size, kernel, stride, padding, (1, 1), ceil_mode)
    counts = np.zeros(out)
    # Counting the padding: the windows of an image that has it as real pixels.
    framed = [m + 2 * p for m, p in zip(size, padding, strict=True)]
    counted, offset = (framed, (0, 0)) if count_include_pad else (size, padding)
    for i, j, *_ in taps(counted, out, kernel, stride, offset, (1, 1)):
        counts[i, j] += 1
    return window_sums(x, out, kernel, stride, padding) / (divisor or counts)


def adaptive_pool2d(x, out, reduce):
    h, w = x.shape[2:]
    y = np.zeros((*x.shape[:2], *out))
    for i, j in product(range(out[0]), range(out[1])):
        rows = [r for r in range(h) if i * h < (r + 1) * out[0] and r * out[0] < (i + 1) * h]
        columns = [c for c in range(w) if j * w < (c + 1) * out[1] and c * out[1] < (j + 1) * w]
        y[:, :, i, j] = reduce(x[:, :, rows][:, :, :, columns], (2, 3))
    return y


def interpolate(x, mode, size=None, scale_factor=None, align_corners=False):
    lengths = x.shape[2:]
    out = size or [int(n * f) for n, f in zip(lengths, scale_factor, strict=True)]
    y = np.zeros((*x.shape[:2], *out))
    for place in product(range(out[0]), range(out[1])):
        sides = []
        for axis, (i, n, m) in enumerate(zip(place, lengths, out, strict=True)):
            evenly = n == m or (mode == "nearest" and 2 * n == m)
            pixel = n / m if size or evenly else 1 / scale_factor[axis]
            if mode == "nearest":
                # What is next to a whole number was one before it was rounded.
                at = int(i * pixel + 1e-9)
            elif align_corners:
                at = i * (n - 1) / (m - 1) if m > 1 else 0
            else:
                at = max((i + 0.5) * pixel - 0.5, 0)
            first = min(int(at), n - 1)
            second = min(first + 1, n - 1)
            sides.append(((first, 1 - (at - first)), (second, at - first)))
        for (row, above), (column, left) in product(*sides):
            y[:, :, place[0], place[1]] += above * left * x[:, :, row, column]
    return y


def channel_sums(x, before, after):
    y = np.zeros_like(x)
    for c, d in product(range(x.shape[1]), repeat=2):
        if c - before <= d <= c + after:
            y[:, c] += x[:, d]
    return y


def around(x, size):
    """Sums over `size` channels around each one, of which the odd one is before it."""
    return channel_sums(x, size // 2, (size - 1) // 2)
