"""The kernels of the device "meta": what shape and dtype each one's result has.

Letters as in `minires.devices.convolution` and `minires.devices.losses`. Kernels that are not here
are the readable ones, which compute with `functions` in the place of NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..device import Array, Device
from ..dtypes import accumulator, as_dtype, default_float, int64
from ..normalization import BatchGradients, Normalizer
from ..windows import Window
from . import functions
from .arrays import MetaArray, broadcast, no_values

Statistics = tuple[Array, Array]


def _images(x: Array, channels: int, size: Sequence[int]) -> MetaArray:
    """As many images as x has, of x's dtype."""
    return MetaArray((x.shape[0], channels, *size), x.dtype)


class MetaDevice(Device):
    """Arrays that have a shape and a dtype, and no values."""

    name = "meta"
    xp = functions
    synchronous = False
    recomputes = False
    holds_values = False

    def array(self, data: Any, dtype: Any = None) -> MetaArray:
        """Return an array with the shape and dtype of `data`; Python floats become float32."""
        made = functions.asarray(data)
        if dtype is None and not hasattr(data, "dtype") and made.dtype.kind == "f":
            dtype = default_float
        return MetaArray(made.shape, as_dtype(made.dtype if dtype is None else dtype))

    def to_numpy(self, array: Array) -> Array:
        """Refuse: there are no values."""
        raise no_values("its values", array)

    def summarize(self, array: Array) -> Array:
        """Refuse, as `to_numpy`."""
        raise no_values("its statistics", array)

    def digest(self, array: Array) -> Array:
        """Refuse, as `to_numpy`."""
        raise no_values("its digest", array)

    def astype(self, x: Array, dtype: Any) -> Array:
        """Return x in `dtype`; x itself if it has that dtype already."""
        return x if x.dtype == dtype else MetaArray(x.shape, as_dtype(dtype))

    def erf(self, x: Array) -> Array:
        """Like x."""
        return x.copy()

    def add_at(self, target: Array, index: Any, values: Array) -> None:
        """Check the shapes."""
        target[index] = values

    def matmul(self, a: Array, b: Array) -> Array:
        """(..., N, K) and (..., K, M) give (..., N, M); a may be a vector (K,)."""
        if a.ndim == 1:
            return MetaArray((*b.shape[:-2], b.shape[-1]), a.dtype)
        leading = broadcast(a.shape[:-2], b.shape[:-2])
        return MetaArray((*leading, a.shape[-2], b.shape[-1]), a.dtype)

    def windows(self, x: Array, window: Window, fill: float = 0) -> Array:
        """(N, C, OH, OW, KH, KW)."""
        size = window.output_size(x.shape[2:])
        return _images(x, x.shape[1], (*size, *window.kernel))

    def fold(self, values: Array, window: Window, size: tuple[int, int]) -> Array:
        """(N, C, H, W)."""
        return _images(values, values.shape[1], size)

    def conv2d(
        self, x: Array, weight: Array, window: Window, groups: int, bias: Array | None = None
    ) -> Array:
        """(N, O, OH, OW)."""
        return _images(x, weight.shape[0], window.output_size(x.shape[2:]))

    def conv2d_input(
        self, g: Array, weight: Array, window: Window, groups: int, size: tuple[int, int]
    ) -> Array:
        """(N, C, H, W)."""
        return _images(g, weight.shape[1] * groups, size)

    def conv2d_weight(self, g: Array, x: Array, window: Window, groups: int) -> Array:
        """(O, C/G, KH, KW)."""
        return MetaArray((g.shape[1], x.shape[1] // groups, *window.kernel), g.dtype)

    def max_pool(self, x: Array, window: Window) -> tuple[Array, Array]:
        """Values and positions, (N, C, OH, OW)."""
        if x.dtype.kind != "f":
            functions.iinfo(x.dtype)  # refuses bools, as on devices that begin with its least value
        values = _images(x, x.shape[1], window.output_size(x.shape[2:]))
        return values, MetaArray(values.shape, int64)

    def max_pool_backward(
        self, g: Array, winners: Array, window: Window, size: tuple[int, int]
    ) -> Array:
        """(N, C, H, W)."""
        return _images(g, g.shape[1], size)

    def spread_sums(self, g: Array, window: Window, size: tuple[int, int]) -> Array:
        """(N, C, H, W)."""
        return _images(g, g.shape[1], size)

    def pick(self, x: Array, index: Array, axis: int) -> Array:
        """Like x, but for the length of the axis."""
        return self.mix(index, x, axis)

    def mix(self, matrix: Array, x: Array, axis: int) -> Array:
        """Like x, but for the length of the axis."""
        lengths = list(x.shape)
        lengths[axis] = matrix.shape[0]
        return MetaArray(tuple(lengths), x.dtype)

    def batch_statistics(self, x: Array) -> Statistics:
        """Two vectors (C,), at least float32."""
        vector = MetaArray(x.shape[1:2], accumulator(x.dtype))
        return vector, vector

    def normalize(
        self, x: Array, by: Normalizer, shortcut: Array | None = None, rectify: bool = False
    ) -> Array:
        """Like x."""
        return MetaArray(x.shape, x.dtype) if shortcut is None else self.add(x, shortcut)

    def batch_norm_backward(
        self,
        g: Array,
        x: Array,
        by: Normalizer,
        output: Array | None = None,
        with_shortcut: bool = False,
    ) -> BatchGradients:
        """Gradients like x, and vectors (C,)."""
        vector = MetaArray(x.shape[1:2], g.dtype)
        return BatchGradients(g.copy(), g.copy() if with_shortcut else None, vector, vector)
