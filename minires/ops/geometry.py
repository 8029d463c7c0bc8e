"""Reading and checking the arguments that describe a sliding window."""

from __future__ import annotations

from numbers import Integral
from typing import Any

from minires.autograd import located
from minires.devices import Window

Pair = int | tuple[int, int]


def pair(value: Pair, name: str, op: str, least: int) -> tuple[int, int]:
    """Return `value` as (rows, columns), both at least `least`.

    Raises
    ------
    ValueError
        If it is neither an integer nor two of them, or too small.
    """
    # Looked at first: what layers hand over, time and again.
    if type(value) is tuple and len(value) == 2 and type(value[0]) is type(value[1]) is int:
        if min(value) >= least:
            return value
    elif type(value) is int and value >= least:
        return value, value
    given: Any = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    given = given * 2 if len(given) == 1 else given
    if len(given) != 2 or not all(isinstance(v, Integral) and int(v) >= least for v in given):
        raise ValueError(
            located(f"{op}: {name} must be one or two integers >= {least}, found {value!r}")
        )
    return int(given[0]), int(given[1])


def images(shape: tuple[int, ...], op: str) -> tuple[int, int]:
    """Return (H, W) of images of `shape` (N, C, H, W).

    Raises
    ------
    ValueError
        If the shape has not four axes.
    """
    if len(shape) != 4:
        raise ValueError(
            located(
                f"{op}: input must have shape (N, C, H, W), found {shape}; a single image"
                " needs an axis of length 1 in front, as in x.unsqueeze(0)"
            )
        )
    return shape[2], shape[3]


def window_over(
    size: tuple[int, int], kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, op: str
) -> Window:
    """Return the window that slides over images of `size` (H, W).

    Raises
    ------
    ValueError
        If an argument is out of range, or the window does not fit the padded images.
    """
    vertical, horizontal = pair(padding, "padding", op, 0)
    window = Window(
        pair(kernel, "kernel_size", op, 1),
        pair(stride, "stride", op, 1),
        ((vertical, vertical), (horizontal, horizontal)),
        pair(dilation, "dilation", op, 1),
    )
    check_fits(window, size, op)
    return window


def check_fits(window: Window, size: tuple[int, int], op: str) -> None:
    """Refuse a window larger than the padded image.

    Raises
    ------
    ValueError
        If it is.
    """
    padded, extent = window.padded_size(size), window.extent
    if extent[0] > padded[0] or extent[1] > padded[1]:
        dilated = "" if window.dilation == (1, 1) else f" (dilated by {window.dilation})"
        raise ValueError(
            located(
                f"{op}: the kernel {window.kernel}{dilated} covers {extent} pixels, but the padded"
                f" input has only {padded}"
            )
        )
