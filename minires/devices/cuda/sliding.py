"""What every kernel with a sliding window is told: the images, the window, and where things lie.

A window slides over an image and stops at OH * OW *places*, `L` for short. At each it looks at
KH * KW pixels, through as many *taps*; a tap's pixel may lie in the padding. What has a value for
every tap and place (columns) or for every place (a pooled image) can lie in memory in several ways,
which `Steps` tells apart.
"""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from ..windows import Window

Array = Any
Images = tuple[int, int, int, int]

# Rows come before columns; steps count elements, not bytes.
_FIELDS = {
    "n, c, h, w": "the images (N, C, H, W)",
    "n_step, c_step, h_step, w_step": "from one image, channel, row, pixel to the next",
    "oh, ow": "how many places the window has",
    "kh, kw": "its taps",
    "dh, dw": "from one tap to the next, in pixels",
    "vstep, hstep": "from one place to the next, in pixels",
    "top, left": "padding before the first pixel",
    "image, channel, tap": "from one image, channel, tap to the next in what has a value per place",
}

SOURCE = (
    "".join(
        ["struct Sliding {\n"]
        + [f"    int {names};  // {meaning}\n" for names, meaning in _FIELDS.items()]
        + ["};\n"]
    )
    + r"""
// A window mostly moves by one pixel, and dividing takes as long as reading from memory.
__device__ int places_to(int pixel, int step) { return step == 1 ? pixel : pixel / step; }
"""
)
DTYPE = np.dtype([(name, "i4") for names in _FIELDS for name in names.split(", ")])
TYPES = {"Sliding": DTYPE}

# A grid has no more blocks along y; where there are more channels, a block has several.
MOST_CHANNELS = 65535


class Steps(NamedTuple):
    """Elements from one image, channel, tap to the next in what has a value per place.

    The places of one image, channel and tap follow one another, row by row.
    """

    image: int
    channel: int
    tap: int


def by_row(n: int, places: int, taps: int) -> Steps:
    """Steps of columns (C*KH*KW, N*L), a matrix whose rows go through all images."""
    return Steps(places, taps * n * places, n * places)


def by_image(c: int, places: int, taps: int) -> Steps:
    """Steps of columns (N, C*KH*KW, L)."""
    return Steps(c * taps * places, taps * places, places)


def alike(n: int, places: int) -> Steps:
    """Steps of values (C, N, L) that all taps of a window share."""
    return Steps(places, n * places, 0)


@functools.lru_cache(4096)
def sliding(
    shape: Images, strides: tuple[int, ...], itemsize: int, window: Window, steps: Steps
) -> Array:
    """Return the structure for images below a window, an array of shape () and dtype `DTYPE`.

    Parameters
    ----------
    shape : (N, C, H, W)
    strides : tuple of int
        Of the images, in bytes.
    itemsize : int
        Bytes of an element.
    window : Window
    steps : Steps
        Where the values per place lie.
    """
    (top, _), (left, _) = window.padding
    return np.array(
        (
            *shape,
            *[stride // itemsize for stride in strides],
            *window.output_size(shape[2:]),
            *window.kernel,
            *window.dilation,
            *window.stride,
            top,
            left,
            *steps,
        ),
        DTYPE,
    )


def fields(s: Array) -> SimpleNamespace:
    """Return the structure's fields as Python's integers."""
    return SimpleNamespace(**{name: int(s[name]) for name in DTYPE.fields or ()})


def taps(s: Any) -> list[tuple[int, int]]:
    """Return all taps of a window, row by row."""
    return [(i, j) for i in range(s.kh) for j in range(s.kw)]


def framed(x: Array, s: Any, fill: float = 0) -> Array:
    """Copy images (N, C, H, W) into a frame (N, C, *) in which every tap at every place lies."""
    rows = (s.oh - 1) * s.vstep + (s.kh - 1) * s.dh + 1
    columns = (s.ow - 1) * s.hstep + (s.kw - 1) * s.dw + 1
    size = max(rows, s.top + s.h), max(columns, s.left + s.w)
    frame = np.full((s.n, s.c, *size), fill, x.dtype)
    frame[:, :, s.top : s.top + s.h, s.left : s.left + s.w] = x
    return frame


def seen(frame: Array, s: Any, i: int, j: int) -> Array:
    """View what the tap (i, j) sees of the framed images at every place, (N, C, OH, OW)."""
    row, column = i * s.dh, j * s.dw
    rows = slice(row, row + s.oh * s.vstep, s.vstep)
    return frame[:, :, rows, slice(column, column + s.ow * s.hstep, s.hstep)]


def by_tap(values: Array, s: Any) -> Array:
    """View what has a value per place as (KH, KW, N, C, OH, OW), by the structure's steps."""
    shape = s.kh, s.kw, s.n, s.c, s.oh, s.ow
    steps = s.kw * s.tap, s.tap, s.image, s.channel, s.ow, 1
    strides = [step * values.itemsize for step in steps]
    return np.lib.stride_tricks.as_strided(values, shape, strides)
