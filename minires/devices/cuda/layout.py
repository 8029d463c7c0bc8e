"""Memory order on a GPU: channels outermost, while shapes stay (N, C, *spatial).

A convolution's filters (O, K) times columns (K, N*OH*OW) are (O, N*OH*OW): with images kept as
(C, N, *spatial), "CNHW", the product *is* the next activation, a channel is one run of memory, and
nothing is ever transposed. CuPy's functions answer in the order of the shape, so that whatever
makes images allocates them here, or computes with transposed views.
"""

from __future__ import annotations

from typing import Any

from .launching import TOO_LARGE, Launching

Array = Any
Shape = tuple[int, ...]

# The dtypes that kernels are written for.
STORED = frozenset("efd")


class CudaLayout(Launching):
    """Allocates arrays in the device's memory order."""

    def empty_images(self, shape: Shape, dtype: Any) -> Array:
        """Allocate images of `shape` (N, C, *spatial); what they hold is not set."""
        n, c, *spatial = shape
        return _swapped(self.xp.empty((c, n, *spatial), dtype))

    def new_images(self, shape: Shape, dtype: Any, fill: float = 0) -> Array:
        """Allocate images of `shape` (N, C, *spatial), filled."""
        n, c, *spatial = shape
        return _swapped(self.xp.full((c, n, *spatial), fill, dtype))

    def empty_like(self, x: Array) -> Array:
        """Allocate an array of x's shape and dtype, its axes in the same order in memory."""
        shape = x.shape
        if x.flags.c_contiguous:
            return self.xp.empty(shape, x.dtype)
        if is_laid_out(x):
            return self.empty_images(shape, x.dtype)
        order = order_of(x)
        return put_back(self.xp.empty([shape[axis] for axis in order], x.dtype), order)

    def in_order_of(self, model: Array, x: Array) -> Array:
        """Return x, copied if its strides are not those of `model`, an array of its shape."""
        if x.strides == model.strides:
            return x
        made = self.empty_like(model)
        made[...] = x
        return made

    def in_one_run(self, x: Array) -> Array:
        """Return x itself if its values fill one run of memory in some order of axes, else a copy.

        This is what a kernel can read that takes strides.
        """
        return x if fills_one_run(x) else _swapped(dense(self, x))


def is_ordinary(x: Array) -> bool:
    """Tell whether kernels compute with x: floats, not empty, countable by 32 bits."""
    return x.dtype.char in STORED and 0 < x.size < TOO_LARGE


def dense(device: Launching, x: Array) -> Array:
    """View images (N, C, *spatial) as C-contiguous (C, N, *spatial); a copy only if they are not.

    Arrays with fewer than three axes are made C-contiguous as they are.
    """
    moved = _swapped(x) if x.ndim > 2 else x
    return moved if moved.flags.c_contiguous else device.xp.ascontiguousarray(moved)


def is_laid_out(x: Array) -> bool:
    """Tell whether x lies in memory as this device would lay it out."""
    return bool((_swapped(x) if x.ndim > 2 else x).flags.c_contiguous)


def order_of(x: Array) -> tuple[int, ...]:
    """Return the axes of x from the widest step in memory to the narrowest."""
    steps = [-abs(stride) for stride in x.strides]
    return tuple(sorted(range(len(steps)), key=steps.__getitem__))


def fills_one_run(x: Array) -> bool:
    """Tell whether the values of x fill one run of memory, whose start is x's first element."""
    if is_laid_out(x) or x.flags.c_contiguous:
        return True
    return bool(x.transpose(order_of(x)).flags.c_contiguous)


def in_turn(x: Array, order: tuple[int, ...]) -> Array:
    """View x, which broadcasts to as many axes as `order` has, with its axes in that order."""
    if x.ndim == 0:
        return x
    if x.ndim < len(order):
        x = x.reshape((1,) * (len(order) - x.ndim) + x.shape)
    return x.transpose(order)


def put_back(x: Array, order: tuple[int, ...]) -> Array:
    """Undo `in_turn`."""
    return x.transpose(sorted(range(len(order)), key=order.__getitem__))


def _swapped(x: Array) -> Array:
    """View (C, N, ...) as (N, C, ...), or the other way round."""
    return x.transpose(1, 0, *range(2, x.ndim))
