"""Pooling: one number for each window of an image.

Letters: N images, C channels, (H, W) size, (KH, KW) kernel, (OH, OW) output size.
"""

from __future__ import annotations

import math
from typing import Any

from minires import devices
from minires.autograd import Tensor, located, op
from minires.devices import Array, Window

from .arithmetic import mul
from .creation import tensor
from .geometry import Pair, images, pair, window_over
from .selection import Extremum, gather
from .selection import _scatter_add as scatter_add
from .shapes import floating, reshape

Size = tuple[int, int]


def _pool_window(
    size: Size,
    kernel: Pair,
    stride: Pair | None,
    padding: Pair,
    dilation: Pair,
    ceil: bool,
    op: str,
) -> Window:
    """Return a pool's window; in ceil mode its padding reaches as far as the last window.

    A window that would begin beyond the image and its first padding is left out.
    """
    step = kernel if stride is None else stride
    window = window_over(size, kernel, step, padding, dilation, op)
    for frame, taps in zip(window.padding, window.kernel, strict=True):
        if 2 * frame[0] > taps:
            raise ValueError(
                located(f"{op}: padding {padding} must be at most half the kernel {kernel}")
            )
    if any(p[0] and d > n for n, p, d in zip(size, window.padding, window.dilation, strict=True)):
        raise ValueError(
            located(
                f"{op}: dilation {dilation} over padded images of size {size} would leave a"
                " window without a pixel"
            )
        )
    if not ceil:
        return window
    frames = []
    for n, p, e, s in zip(size, window.padding, window.extent, window.stride, strict=True):
        count = -(-(n + p[0] + p[1] - e) // s) + 1
        if (count - 1) * s >= n + p[0]:
            count -= 1
        frames.append((p[0], max(p[1], (count - 1) * s + e - n - p[0])))
    return window._replace(padding=(frames[0], frames[1]))


@op(name="max_pool2d", has_aux=True)
def _max_pool(x: Array, *, window: Window) -> Any:
    return devices.of(x).max_pool(x, window)


@_max_pool.vjp
def _(g: Array, x: Array, aux: Any, shapes: Any, window: Window) -> Array:
    n, c, h, w = shapes[0]
    # The winners are constants: recording the VJP, they are simply found again.
    winners = devices.of(x._data).max_pool(x._data, window)[1] if aux is None else aux
    if not isinstance(g, Tensor):
        return devices.of(g).max_pool_backward(g, winners, window, (h, w))
    flat = reshape(g, n, c, math.prod(g.shape[2:]))
    index = winners.reshape(flat.shape)
    return reshape(scatter_add(flat, dim=2, index=index, shape=(n, c, h * w)), n, c, h, w)


@_max_pool.twin
def _(x: Tensor, *, window: Window) -> Tensor:
    return _winners(x, window).values


def _winners(x: Tensor, window: Window) -> Extremum:
    """The largest value of each window, picked from the image, and its place (H*W) there."""
    n, c, h, w = x.shape
    plain = x._data if isinstance(x, Tensor) else x
    device = devices.of(plain)
    winners = device.max_pool(plain, window)[1]
    taken = winners.reshape(n, c, math.prod(winners.shape[2:]))
    values = gather(reshape(x, n, c, h * w), 2, taken)
    places = tensor(winners, devices.int64, device=device)
    return Extremum(reshape(values, winners.shape), places)


def max_pool2d(
    input: Tensor,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Largest value of each window; its gradient goes to the (first) winner.

    Parameters
    ----------
    input : Tensor, (N, C, H, W)
    kernel_size : int or (int, int)
    stride : int or (int, int), optional
        By default the kernel size.
    padding : int or (int, int)
        At most half the kernel; padding never wins.
    dilation : int or (int, int)
    ceil_mode : bool
        Also take a last window that reaches over the edge.
    return_indices : bool
        Also tell where in its image (H*W), row by row, each winner stands.

    Returns
    -------
    Tensor, (N, C, OH, OW); with `return_indices` Extremum(values, indices), both of that shape

    Raises
    ------
    ValueError
        If an argument is out of range or the window does not fit.

    Examples
    --------
    >>> import minires as mr
    >>> mr.ops.max_pool2d(mr.arange(4.0).reshape(1, 1, 2, 2), 2)
    tensor([[[[3.]]]])
    >>> mr.ops.max_pool2d(mr.arange(4.0).reshape(1, 1, 2, 2), 2, return_indices=True).indices
    tensor([[[[3]]]])
    """
    size = images(tuple(input.shape), "max_pool2d")
    window = _pool_window(size, kernel_size, stride, padding, dilation, ceil_mode, "max_pool2d")
    return _winners(input, window) if return_indices else _max_pool(input, window=window)


@op
def _window_sums(x: Array, *, window: Window) -> Array:
    return devices.of(x).window_sums(x, window)


@_window_sums.vjp
def _(g: Array, shapes: Any, window: Window) -> Array:
    return _spread_sums(g, window=window, size=shapes[0][2:])


@op
def _spread_sums(y: Array, *, window: Window, size: Size) -> Array:
    return devices.of(y).spread_sums(y, window, size)


@_spread_sums.vjp
def _(g: Array, window: Window) -> Array:
    return _window_sums(g, window=window)


@op(name="avg_pool2d")
def _avg_pool(x: Array, *, window: Window, shares: Array) -> Array:
    device = devices.of(x)
    sums = device.window_sums(x, window)
    return device.apply("multiply", sums, device.astype(shares, x.dtype))


@_avg_pool.vjp
def _(g: Array, shapes: Any, window: Window, shares: Array) -> Array:
    return _spread_sums(mul(g, shares.astype(g.dtype)), window=window, size=shapes[0][2:])


@_avg_pool.twin
def _(x: Tensor, *, window: Window, shares: Array) -> Tensor:
    return mul(_window_sums(x, window=window), shares.astype(x.dtype))


def avg_pool2d(
    input: Tensor,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Mean of each window.

    Parameters
    ----------
    input : Tensor, (N, C, H, W)
    kernel_size : int or (int, int)
    stride : int or (int, int), optional
        By default the kernel size.
    padding : int or (int, int)
        Of zeros; at most half the kernel.
    ceil_mode : bool
        Also take a last window that reaches over the edge; what lies beyond the padding is never
        counted.
    count_include_pad : bool
        Count the padding's zeros in the mean.
    divisor_override : int, optional
        Divide the sum by this instead of the count.

    Returns
    -------
    Tensor, (N, C, OH, OW)

    Raises
    ------
    ValueError
        If an argument is out of range or the window does not fit.
    """
    size = images(tuple(input.shape), "avg_pool2d")
    window = _pool_window(size, kernel_size, stride, padding, 1, ceil_mode, "avg_pool2d")
    if divisor_override is not None and divisor_override < 1:
        raise ValueError(located(f"avg_pool2d: divisor_override={divisor_override} must be >= 1"))
    input = floating(input)
    return _avg_pool(
        input,
        window=window,
        shares=_shares(
            input,
            window,
            pair(padding, "padding", "avg_pool2d", 0),
            count_include_pad,
            divisor_override,
        ),
    )


def _shares(input: Any, window: Window, padding: Size, with_pad: bool, divisor: Any) -> Array:
    """What each value of a window contributes to its mean: 1 / count, (1, 1, OH, OW), float64."""
    device = devices.of(input._data if isinstance(input, Tensor) else input)
    h, w = input.shape[2:]
    if divisor is not None:
        return device.xp.full((1, 1, *window.output_size((h, w))), 1.0 / divisor)
    if not with_pad:
        counted = device.xp.ones((1, 1, h, w))
        return 1.0 / device.window_sums(counted, window)
    # The padding counts, but not what ceil mode added behind it.
    ph, pw = padding
    counted = device.xp.ones((1, 1, h + 2 * ph, w + 2 * pw))
    (_, bottom), (_, right) = window.padding
    beyond = window._replace(padding=((0, bottom - ph), (0, right - pw)))
    return 1.0 / device.window_sums(counted, beyond)
