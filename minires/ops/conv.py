"""Convolution, its transpose, and its weight gradient: three ops, each the others' derivative.

Letters: N images, C input channels, O output channels, G groups, (KH, KW) kernel. With
y = conv(x, w), a cotangent g of y goes back as dx = convT(g, w) and dw = correlate(x, g).
"""

from __future__ import annotations

from typing import Any

from minires import devices
from minires.autograd import Tensor, located, op
from minires.devices import Array, Window

from .arithmetic import add
from .broadcasting import sum
from .geometry import Pair, check_fits, images, pair, window_over
from .linalg import matmul
from .operands import same_dtype
from .shapes import reshape, transpose
from .windows import _col2im, _im2col

Needs = tuple[bool, ...]
Size = tuple[int, int]


@op(fresh=("weight", "bias"))
def _conv2d(
    input: Array, weight: Array, bias: Array | None, *, window: Window, groups: int
) -> Array:
    if bias is None:
        input, weight = same_dtype(input, weight)
    else:
        input, weight, bias = same_dtype(input, weight, bias)
    return devices.of(input).conv2d(input, weight, window, groups, bias)


@_conv2d.vjp
def _conv2d_gradients(
    g: Array, input: Array, weight: Array, needs: Needs, window: Window, groups: int
) -> Any:
    db = sum(g, (0, 2, 3)) if needs[2] else None
    if not isinstance(g, Tensor):
        # The two gradients of an ordinary backward pass share their columns.
        return *devices.of(g).conv2d_backward(g, input, weight, window, groups, needs[:2]), db
    size = tuple(input.shape[2:])
    return (
        _conv_input(g, weight, window=window, groups=groups, size=size) if needs[0] else None,
        _conv_weight(g, input, window=window, groups=groups) if needs[1] else None,
        db,
    )


@_conv2d.twin
def _(input: Tensor, weight: Tensor, bias: Tensor | None, *, window: Window, groups: int) -> Tensor:
    n, _, h, w = input.shape
    oh, ow = window.output_size((h, w))
    o = weight.shape[0]
    columns = _im2col(input, window=window)  # (N, C*KH*KW, L)
    k = columns.shape[1] // groups
    grouped = reshape(columns, n, groups, k, oh * ow)
    filters = reshape(weight, 1, groups, o // groups, k)
    y = reshape(matmul(filters, grouped), n, o, oh, ow)
    return y if bias is None else add(y, reshape(bias, 1, o, 1, 1))


@op(name="conv_transpose2d")
def _conv_input(y: Array, weight: Array, *, window: Window, groups: int, size: Size) -> Array:
    y, weight = same_dtype(y, weight)
    return devices.of(y).conv2d_input(y, weight, window, groups, size)


@op(name="conv2d_weight")
def _conv_weight(y: Array, x: Array, *, window: Window, groups: int) -> Array:
    y, x = same_dtype(y, x)
    return devices.of(y).conv2d_weight(y, x, window, groups)


@_conv_input.vjp
def _(g: Array, y: Array, weight: Array, needs: Needs, window: Window, groups: int) -> Any:
    return (
        _conv2d(g, weight, None, window=window, groups=groups) if needs[0] else None,
        _conv_weight(y, g, window=window, groups=groups) if needs[1] else None,
    )


@_conv_input.twin
def _(y: Tensor, weight: Tensor, *, window: Window, groups: int, size: Size) -> Tensor:
    n, o, oh, ow = y.shape
    k = weight.shape[1] * window.taps
    filters = reshape(weight, 1, groups, o // groups, k)  # (1, G, O/G, C/G*KH*KW)
    pixels = reshape(y, n, groups, o // groups, oh * ow)
    columns = reshape(matmul(transpose(filters, 2, 3), pixels), n, groups * k, oh * ow)
    return _col2im(columns, window=window, size=size)


@_conv_weight.vjp
def _(g: Array, y: Array, x: Array, needs: Needs, window: Window, groups: int) -> Any:
    size = tuple(x.shape[2:])
    return (
        _conv2d(x, g, None, window=window, groups=groups) if needs[0] else None,
        _conv_input(y, g, window=window, groups=groups, size=size) if needs[1] else None,
    )


def _check_weight(weight: Tensor, bias: Tensor | None, outputs: int, op: str) -> None:
    """Refuse a weight without four axes, or a bias that has not one value per output channel."""
    shape = tuple(weight.shape)
    if len(shape) != 4 or 0 in shape:
        raise ValueError(located(f"{op}: weight must have four axes, none empty, found {shape}"))
    if bias is not None and tuple(bias.shape) != (outputs,):
        raise ValueError(
            located(f"{op}: bias must have shape ({outputs},), found {tuple(bias.shape)}")
        )


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair | str = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Slide filters over images: y[n, o, i, j] = sum of window (i, j) times filter o, plus bias.

    Like every deep-learning library this computes a cross-correlation: filters are not flipped.

    Parameters
    ----------
    input : Tensor, (N, C, H, W)
    weight : Tensor, (O, C/groups, KH, KW)
    bias : Tensor, (O,), optional
    stride, dilation : int or (int, int)
    padding : int or (int, int), or {"same", "valid"}
        Of zeros on each side. With "same", which needs stride 1, (OH, OW) is (H, W); an odd pixel
        stands behind the image. "valid" is 0.
    groups : int
        Input and output channels are split into so many groups that do not see each other.

    Returns
    -------
    Tensor, (N, O, OH, OW)
        OH = (H + 2*padding - dilation*(KH - 1) - 1) // stride + 1, and OW likewise.

    Raises
    ------
    ValueError
        If shapes or groups do not fit, or the kernel exceeds the padded input.

    Examples
    --------
    >>> import minires as mr
    >>> mr.ops.conv2d(mr.ones(1, 1, 3, 3), mr.ones(1, 1, 2, 2))
    tensor([[[[4., 4.],
              [4., 4.]]]])
    """
    window = conv_window(input, weight, bias, stride, padding, dilation, groups)
    return _conv2d(input, weight, bias, window=window, groups=groups)


def conv_window(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Pair,
    padding: Pair | str,
    dilation: Pair,
    groups: int,
) -> Window:
    """Check the arguments of a convolution; return its window."""
    size = images(tuple(input.shape), "conv2d")
    channels, shape = input.shape[1], tuple(weight.shape)
    _check_weight(weight, bias, shape[0] if shape else 0, "conv2d")
    if groups < 1 or channels % groups or shape[0] % groups:
        raise ValueError(
            located(
                f"conv2d: groups={groups} must divide the input's {channels} channels and the"
                f" weight's {shape[0]} filters"
            )
        )
    if channels != shape[1] * groups:
        raise ValueError(
            located(
                f"conv2d: input has {channels} channels, weight expects {shape[1] * groups}"
                f" (weight shape {shape}, groups={groups})"
            )
        )
    kernel = shape[2], shape[3]
    if padding == "same":
        return _same_size_window(size, kernel, stride, dilation)
    pixels: Any = 0 if padding == "valid" else padding
    return window_over(size, kernel, stride, pixels, dilation, "conv2d")


def _same_size_window(size: Size, kernel: Size, stride: Pair, dilation: Pair) -> Window:
    """Return the window that has as many places as the image has pixels."""
    steps = pair(stride, "stride", "conv2d", 1)
    if steps != (1, 1):
        raise ValueError(located(f"conv2d: padding 'same' needs stride 1, found {stride}"))
    window = Window(kernel, steps, ((0, 0), (0, 0)), pair(dilation, "dilation", "conv2d", 1))
    vertical, horizontal = (((n - 1) // 2, n // 2) for n in window.extent)
    window = window._replace(padding=(vertical, horizontal))
    check_fits(window, size, "conv2d")
    return window


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair = 0,
    output_padding: Pair = 0,
    groups: int = 1,
    dilation: Pair = 1,
) -> Tensor:
    """Run a convolution backwards: every input pixel stamps its filter into the output.

    Parameters
    ----------
    input : Tensor, (N, C, H, W)
    weight : Tensor, (C, O/groups, KH, KW)
    bias : Tensor, (O,), optional
    stride, padding, dilation : int or (int, int)
        Those of the convolution that this is the transpose of.
    output_padding : int or (int, int)
        Rows and columns to add at the end, fewer than `stride`: so many sizes of image give a
        strided convolution the same size of output.
    groups : int

    Returns
    -------
    Tensor, (N, O, OH, OW)
        OH = (H - 1)*stride - 2*padding + dilation*(KH - 1) + 1 + output_padding, OW likewise.

    Raises
    ------
    ValueError
        If shapes or groups do not fit, output_padding is not smaller than stride, or the output
        would be empty.

    Examples
    --------
    >>> import minires as mr
    >>> mr.ops.conv_transpose2d(mr.ones(1, 1, 2, 2), mr.ones(1, 1, 2, 2), stride=2).shape
    (1, 1, 4, 4)
    """
    name = "conv_transpose2d"
    h, w = images(tuple(input.shape), name)
    channels, shape = input.shape[1], tuple(weight.shape)
    _check_weight(weight, bias, shape[1] * groups if len(shape) == 4 else 0, name)
    if groups < 1 or channels % groups or channels != shape[0]:
        raise ValueError(
            located(
                f"{name}: input has {channels} channels, weight expects {shape[0]} (weight shape"
                f" {shape}, groups={groups} must divide them)"
            )
        )
    step, extra = pair(stride, "stride", name, 1), pair(output_padding, "output_padding", name, 0)
    frame, spread = pair(padding, "padding", name, 0), pair(dilation, "dilation", name, 1)
    if any(e >= s for e, s in zip(extra, step, strict=True)):
        raise ValueError(
            located(f"{name}: output_padding {extra} must be smaller than stride {step}")
        )
    oh, ow = (
        (n - 1) * s - 2 * p + d * (k - 1) + 1 + e
        for n, s, p, d, k, e in zip((h, w), step, frame, spread, shape[2:], extra, strict=True)
    )
    if oh < 1 or ow < 1:
        raise ValueError(located(f"{name}: the output would have size ({oh}, {ow})"))
    window = window_over((oh, ow), (shape[2], shape[3]), step, frame, spread, name)
    y = _conv_input(input, weight, window=window, groups=groups, size=(oh, ow))
    return y if bias is None else add(y, reshape(bias, 1, -1, 1, 1))
