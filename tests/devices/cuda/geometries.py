"""Images below sliding windows, drawn at random, for the kernels that see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minires.devices import Window
from minires.devices.cuda.sliding import Steps, sliding

Array = np.ndarray[Any, Any]

# Orders of axes in memory, of images (N, C, H, W).
ORDERS = {"NCHW": (0, 1, 2, 3), "CNHW": (1, 0, 2, 3), "NHWC": (0, 2, 3, 1), "WCHN": (3, 1, 2, 0)}


def in_order(x: Array, order: str) -> Array:
    """The same images, dense in memory in another order of axes."""
    axes = ORDERS[order]
    return np.ascontiguousarray(x.transpose(axes)).transpose(np.argsort(axes))


@dataclass(frozen=True)
class Geometry:
    """Images (N, C, H, W) of `shape` in a memory order, and the window over them."""

    shape: tuple[int, int, int, int]
    window: Window
    order: str = "NCHW"
    seed: int = 0

    @property
    def places(self) -> int:
        """Windows in one image."""
        oh, ow = self.output[2:]
        return oh * ow

    @property
    def output(self) -> tuple[int, int, int, int]:
        n, c, h, w = self.shape
        return n, c, *self.window.output_size((h, w))

    def normal(self, *shape: int, dtype: str = "float32") -> Array:
        """Normal random numbers."""
        return np.random.default_rng(self.seed).standard_normal(shape).astype(dtype)

    def images(self, dtype: str = "float32") -> Array:
        """Images with some equal numbers among them."""
        return in_order(np.round(2 * self.normal(*self.shape), 1).astype(dtype), self.order)

    def unset(self, *shape: int, dtype: str = "float32", order: str = "CNHW") -> Array:
        """Memory that nothing has been written into."""
        fill = np.nan if np.dtype(dtype).kind == "f" else -9
        return in_order(np.full(shape, fill, dtype), order)

    def structure(self, x: Array, steps: Steps) -> Array:
        """What a kernel is told that sees images x."""
        return sliding(x.shape, x.strides, x.itemsize, self.window, steps)


# Between them they tell rows from columns, one stride from another, and before from behind.
UNEVEN = (
    Geometry((2, 3, 9, 8), Window((3, 2), (2, 1), ((1, 2), (2, 0)), (1, 3)), "NHWC"),
    Geometry((3, 4, 5, 7), Window((3, 3), (1, 1), ((0, 1), (1, 2))), "CNHW"),
    Geometry((2, 2, 7, 10), Window((2, 3), (1, 3), ((1, 0), (0, 2)), (2, 1)), "NCHW"),
    Geometry((1, 3, 6, 5), Window((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1)), "WCHN"),
)


@st.composite
def geometries(draw: Any) -> Geometry:
    """Small images and windows, of which at least one fits."""

    def pair(low: int, high: int) -> tuple[int, int]:
        return draw(st.integers(low, high)), draw(st.integers(low, high))

    window = Window(pair(1, 3), pair(1, 3), (pair(0, 2), pair(0, 2)), pair(1, 2))
    least = [
        max(extent - sum(frame), 1)
        for extent, frame in zip(window.extent, window.padding, strict=True)
    ]
    more = pair(0, 5)
    size = least[0] + more[0], least[1] + more[1]
    shape = (*pair(1, 3), *size)
    order = draw(st.sampled_from(sorted(ORDERS)))
    return Geometry(shape, window, order, draw(st.integers(0, 99)))
