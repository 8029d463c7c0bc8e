"""im2col and col2im: sliding windows as columns, each the other's transpose.

Letters: N images, C channels, (H, W) size, (KH, KW) kernel, L window positions.
"""

from __future__ import annotations

from typing import Any

from minires import devices
from minires.autograd import Tensor, located, op
from minires.devices import Array, Window

from .geometry import Pair, images, pair, window_over


@op
def _im2col(x: Array, *, window: Window) -> Array:
    return devices.of(x).im2col(x, window)


@_im2col.vjp
def _(g: Array, shapes: Any, window: Window) -> Array:
    return _col2im(g, window=window, size=shapes[0][2:])


@op
def _col2im(columns: Array, *, window: Window, size: tuple[int, int]) -> Array:
    return devices.of(columns).col2im(columns, window, size)


@_col2im.vjp
def _(g: Array, window: Window) -> Array:
    return _im2col(g, window=window)


def im2col(
    x: Tensor, kernel_size: Pair, dilation: Pair = 1, padding: Pair = 0, stride: Pair = 1
) -> Tensor:
    """Lay out every window of the images as a column (torch's ``unfold``).

    Parameters
    ----------
    x : Tensor, (N, C, H, W)
    kernel_size, dilation, padding, stride : int or (int, int)

    Returns
    -------
    Tensor, (N, C*KH*KW, L)
        L = OH * OW positions, row by row.

    Raises
    ------
    ValueError
        If an argument is out of range or the window does not fit.

    Examples
    --------
    >>> import minires as mr
    >>> mr.ops.im2col(mr.ones(1, 2, 4, 4), 3).shape
    (1, 18, 4)
    """
    size = images(tuple(x.shape), "im2col")
    return _im2col(x, window=window_over(size, kernel_size, stride, padding, dilation, "im2col"))


def col2im(
    cols: Tensor,
    output_size: Pair,
    kernel_size: Pair,
    dilation: Pair = 1,
    padding: Pair = 0,
    stride: Pair = 1,
) -> Tensor:
    """Add columns back into images; what overlaps is summed (torch's ``fold``).

    Parameters
    ----------
    cols : Tensor, (N, C*KH*KW, L)
    output_size : int or (int, int)
        (H, W) of the images.
    kernel_size, dilation, padding, stride : int or (int, int)

    Returns
    -------
    Tensor, (N, C, H, W)

    Raises
    ------
    ValueError
        If the columns do not fit the window positions.

    Examples
    --------
    A pixel is counted once for every window that it lies in.

    >>> import minires as mr
    >>> mr.ops.col2im(mr.ops.im2col(mr.ones(1, 1, 3, 3), 2), 3, 2)[0, 0]
    tensor([[1., 2., 1.],
            [2., 4., 2.],
            [1., 2., 1.]])
    """
    size = pair(output_size, "output_size", "col2im", 1)
    window = window_over(size, kernel_size, stride, padding, dilation, "col2im")
    oh, ow = window.output_size(size)
    shape = tuple(cols.shape)
    if len(shape) != 3 or shape[1] % window.taps or shape[2] != oh * ow:
        raise ValueError(
            located(
                f"col2im: columns must have shape (N, C*{window.taps}, {oh * ow}) for images of"
                f" {size}, found {shape}"
            )
        )
    return _col2im(cols, window=window, size=size)
