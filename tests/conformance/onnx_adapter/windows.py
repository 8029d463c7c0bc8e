"""Operators that slide a window: convolution, pooling, columns.

ONNX pads each side by its own width and knows any number of spatial axes; minires, like PyTorch,
pads both sides alike and knows images. An uneven frame is laid around the images beforehand, and a
row of pixels is an image of height 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import minires as mr
from minires import ops

from .node import Adapter, Node, integers, refuse

Pads = list[tuple[int, int]]


def _as_image(node: Node, x: mr.Tensor) -> tuple[mr.Tensor, int]:
    """x as images, and how many of their spatial axes were put in for it."""
    if x.ndim not in (3, 4):
        refuse(f"{x.ndim - 2} spatial axes")
    return (ops.unsqueeze(x, 2), 1) if x.ndim == 3 else (x, 0)


def _pair(given: Any, default: int, added: int) -> tuple[int, int]:
    """An attribute with one number per spatial axis, as (rows, columns)."""
    numbers = [default] * added + list(given or [default] * (2 - added))
    return numbers[0], numbers[1]


def _given_pads(given: Any, count: int) -> Pads:
    """ONNX's list, all the widths before and then all those after, as one pair per axis."""
    return list(zip(given[:count], given[count:], strict=True)) if given else [(0, 0)] * count


def _pads(node: Node, size: Any, kernel: Any, stride: Any, dilation: Any, added: int) -> Pads:
    """Return the width before and after, for rows and for columns."""
    auto, given = node["auto_pad"], node["pads"]
    if auto == "VALID":
        return [(0, 0), (0, 0)]
    if auto == "NOTSET":
        return [(0, 0)] * added + _given_pads(given, 2 - added)
    pads = []
    for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
        total = max((math.ceil(n / s) - 1) * s + d * (k - 1) + 1 - n, 0)
        small, large = total // 2, total - total // 2
        pads.append((small, large) if auto == "SAME_UPPER" else (large, small))
    return pads


def _even(
    x: mr.Tensor, pads: Pads, value: float, most: tuple[float, float] = (math.inf, math.inf)
) -> tuple[mr.Tensor, tuple[int, int]]:
    """Lay an uneven or too wide frame around x; return it, and the even one still to be laid."""
    (top, bottom), (left, right) = pads
    if top == bottom <= most[0] and left == right <= most[1]:
        return x, (top, left)
    return ops.pad(x, (left, right, top, bottom), value=value), (0, 0)


def _half(kernel: tuple[int, int]) -> tuple[float, float]:
    """The widest frame that minires' pools, like PyTorch's, take."""
    return kernel[0] / 2, kernel[1] / 2


def _without(y: mr.Tensor, added: int) -> mr.Tensor:
    return ops.squeeze(y, 2) if added else y


def _conv(node: Node, x: mr.Tensor, w: mr.Tensor, b: mr.Tensor | None = None) -> mr.Tensor:
    x, added = _as_image(node, x)
    w = ops.unsqueeze(w, 2) if added else w
    kernel = _pair(node["kernel_shape"] or w.shape[2 + added :], 1, added)
    stride, dilation = (_pair(node[name], 1, added) for name in ("strides", "dilations"))
    pads = _pads(node, x.shape[2:], kernel, stride, dilation, added)
    x, padding = _even(x, pads, 0.0)
    return _without(ops.conv2d(x, w, b, stride, padding, dilation, node["group"]), added)


def _conv_transpose(
    node: Node, x: mr.Tensor, w: mr.Tensor, b: mr.Tensor | None = None
) -> mr.Tensor:
    x, added = _as_image(node, x)
    w = ops.unsqueeze(w, 2) if added else w
    kernel = _pair(node["kernel_shape"] or w.shape[2 + added :], 1, added)
    stride, dilation = (_pair(node[name], 1, added) for name in ("strides", "dilations"))
    extra = _pair(node["output_padding"], 0, added)
    full = [
        (n - 1) * s + d * (k - 1) + 1 + e
        for n, s, d, k, e in zip(x.shape[2:], stride, dilation, kernel, extra, strict=True)
    ]
    auto, wanted = node["auto_pad"], node["output_shape"]
    if auto != "NOTSET" and not wanted:
        wanted = [n * s for n, s in zip(x.shape[2:], stride, strict=True)]
    if wanted:
        totals = [n - m for n, m in zip(full, _pair(wanted, 1, added), strict=True)]
        # A larger output than the windows reach is padding at its end.
        extra = [e + max(-total, 0) for e, total in zip(extra, totals, strict=True)]
        totals = [max(total, 0) for total in totals]
        halves = [(t // 2, t - t // 2) for t in totals]
        cut = halves if auto == "SAME_UPPER" else [(b, a) for a, b in halves]
    else:
        cut = _pads(node, x.shape[2:], kernel, stride, dilation, added)
    # What both sides lose is the convolution's padding; what only one loses is cut off.
    padding = tuple(min(sides) for sides in cut)
    y = ops.conv_transpose2d(x, w, b, stride, padding, tuple(extra), node["group"], dilation)
    rows, columns = (
        slice(before - p, n + p - after)
        for (before, after), p, n in zip(cut, padding, y.shape[2:], strict=True)
    )
    return _without(y[:, :, rows, columns], added)


def _max_pool(node: Node, x: mr.Tensor) -> mr.Tensor:
    order = node["storage_order"]
    x, added = _as_image(node, x)
    kernel = _pair(node["kernel_shape"], 1, added)
    stride, dilation = (_pair(node[name], 1, added) for name in ("strides", "dilations"))
    pads = _pads(node, x.shape[2:], kernel, stride, dilation, added)
    lowest = -math.inf if x.dtype.kind == "f" else int(x.numpy().min())
    framed, padding = _even(x, pads, lowest, _half(kernel))
    options = (kernel, stride, padding, dilation, bool(node["ceil_mode"]))
    if node.outputs == 1:
        return _without(ops.max_pool2d(framed, *options), added)
    if framed is not x:
        refuse("positions in an image with an uneven frame")
    values, places = ops.max_pool2d(x, *options, return_indices=True)
    # ONNX counts through the whole tensor, minires (as PyTorch) through each image.
    n, c, h, w = x.shape
    if order:
        places = places % w * h + places // w
    firsts = ops.reshape(ops.arange(n * c) * (h * w), n, c, 1, 1)
    return _without(values, added), _without(places + firsts, added)


def _average_pool(node: Node, x: mr.Tensor) -> mr.Tensor:
    if set(node["dilations"] or [1]) != {1}:
        refuse("dilation")
    x, added = _as_image(node, x)
    kernel = _pair(node["kernel_shape"], 1, added)
    stride = _pair(node["strides"], 1, added)
    pads = _pads(node, x.shape[2:], kernel, stride, (1, 1), added)
    ceil, with_pad = bool(node["ceil_mode"]), bool(node["count_include_pad"])
    framed, padding = _even(x, pads, 0.0, _half(kernel))
    if framed is x or with_pad:
        y = ops.avg_pool2d(framed, kernel, stride, padding, ceil, with_pad)
    else:
        # How many pixels are no padding is itself an average.
        inside, _ = _even(ops.ones_like(x), pads, 0.0, _half(kernel))
        y = ops.avg_pool2d(framed, kernel, stride, 0, ceil)
        y = y / ops.avg_pool2d(inside, kernel, stride, 0, ceil)
    return _without(y, added)


def _causal_conv(node: Node, x: mr.Tensor, w: mr.Tensor, b: Any = None, past: Any = None) -> Any:
    """A filter per channel over what was and is, never what will be; the state is the past."""
    n, channels, length = x.shape
    memory = w.shape[2] - 1
    past = mr.zeros(n, channels, memory, dtype=x.dtype) if past is None else past
    seen = ops.concatenate([past, x], 2)
    images, filters = ops.unsqueeze(seen, 2), ops.unsqueeze(w, 2)
    y = ops.squeeze(ops.conv2d(images, filters, b, groups=channels), 2)
    if node["activation"] != "none":
        y = y * ops.sigmoid(y)
    return y, seen[:, :, length:]


def _global(reduction: Callable[..., mr.Tensor]) -> Adapter:
    return lambda node, x: reduction(x, tuple(range(2, x.ndim)), keepdim=True)


def _global_average_pool(node: Node, x: mr.Tensor) -> mr.Tensor:
    return ops.adaptive_avg_pool2d(x, 1)


def _col2im(node: Node, cols: mr.Tensor, size: mr.Tensor, block: mr.Tensor) -> mr.Tensor:
    image, kernel = integers(size) or (), integers(block) or ()
    if len(image) != 2:
        refuse(f"{len(image)} spatial axes")
    (top, bottom), (left, right) = _given_pads(node["pads"], 2)
    if (top, left) != (bottom, right):
        refuse("an uneven frame")
    stride, dilation = (_pair(node[name], 1, 0) for name in ("strides", "dilations"))
    return ops.col2im(cols, image, kernel, dilation, (top, left), stride)


OPERATORS: dict[str, Adapter] = {
    "AveragePool": _average_pool,
    "CausalConvWithState": _causal_conv,
    "Col2Im": _col2im,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "GlobalAveragePool": _global_average_pool,
    "GlobalMaxPool": _global(ops.amax),
    "MaxPool": _max_pool,
}
