"""Element-wise functions on a GPU, with results in the memory order of their operands.

CuPy's functions answer in the order of the shape, whatever the operands'. So they are given
transposed views, in which the operands' memory order *is* the order of the shape, and what they
make is transposed back: no copy, no `out`, and CuPy decides about the dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..elementwise import ElementwiseKernels
from .kernel import Kernel
from .launching import TOO_LARGE
from .layout import STORED, CudaLayout, fills_one_run, in_turn, order_of, put_back

Array = Any


def add_plain(a: Array, b: Array, y: Array, count: int) -> None:
    """y = a + b."""
    y[...] = a + b


ADD = Kernel(
    r"""
// y = a + b: arrays of `count` values in the same memory order.
extern "C" __global__ void add(const T* a, const T* b, T* y, unsigned count) {
    unsigned i = blockIdx.x * BLOCK + threadIdx.x;
    if (i < count) y[i] = (T)((A)a[i] + (A)b[i]);
}
""",
    plain=add_plain,
)


def relu_plain(x: Array, y: Array, count: int) -> None:
    """y = max(x, 0)."""
    y[...] = np.where(x <= 0, x.dtype.type(0), x)


RELU = Kernel(
    r"""
// y = max(x, 0); the zero is never negative, and NaN, which is not <= 0, stays.
extern "C" __global__ void relu(const T* x, T* y, unsigned count) {
    unsigned i = blockIdx.x * BLOCK + threadIdx.x;
    if (i >= count) return;
    A value = (A)x[i];
    y[i] = (T)(value <= 0 ? (A)0 : value);
}
""",
    plain=relu_plain,
)


def relu_backward_plain(g: Array, output: Array, dx: Array, count: int) -> None:
    """dx = g where a ReLU was open."""
    dx[...] = np.where(output <= 0, g.dtype.type(0), g)


RELU_BACKWARD = Kernel(
    r"""
// dx = g where the ReLU's output is not 0; a NaN passes its gradient on.
extern "C" __global__ void relu_backward(const T* g, const T* output, T* dx, unsigned count) {
    unsigned i = blockIdx.x * BLOCK + threadIdx.x;
    if (i < count) dx[i] = (T)((A)output[i] <= 0 ? (A)0 : (A)g[i]);
}
""",
    plain=relu_backward_plain,
)


class CudaElementwise(CudaLayout, ElementwiseKernels):
    """Element-wise functions on a GPU."""

    def apply(self, function: str | Callable[..., Array], *operands: Any) -> Array:
        """Return what an element-wise function makes of the operands, in their memory order.

        Where they differ in it, the first one decides that has the result's shape, and not the
        order that CuPy gives its results.
        """
        compute = getattr(self.xp, function) if isinstance(function, str) else function
        arrays = [x for x in operands if hasattr(x, "strides") and x.ndim]
        if all(x.flags.c_contiguous for x in arrays):
            return compute(*operands)
        model = _model(arrays)
        if model is None:
            return compute(*operands)
        order = order_of(model)
        turned = [in_turn(x, order) if hasattr(x, "strides") else x for x in operands]
        return put_back(compute(*turned), order)

    def concatenate(self, arrays: Sequence[Array], axis: int) -> Array:
        """Join arrays along an axis, in the memory order of the first."""
        order = order_of(arrays[0])
        turned = [in_turn(x, order) for x in arrays]
        return put_back(self.xp.concatenate(turned, order.index(axis)), order)

    def add(self, a: Array, b: Array) -> Array:
        """a + b, of equal shapes."""
        if a.strides != b.strides or a.dtype != b.dtype or not _fits_kernels(a):
            return self.apply("add", a, b)
        y = self.empty_like(a)
        self.launch(ADD, ADD.grid(a.size), a, b, y, a.size, T=a.dtype)
        return y

    def relu(self, x: Array) -> Array:
        """max(x, 0); never -0.0, and NaN stays NaN."""
        if not _fits_kernels(x):
            return self.apply(super().relu, x)
        y = self.empty_like(x)
        self.launch(RELU, RELU.grid(x.size), x, y, x.size, T=x.dtype)
        return y

    def relu_backward(self, g: Array, output: Array) -> Array:
        """g where the output is not 0: a NaN passes its gradient on."""
        if g.dtype != output.dtype or g.shape != output.shape or not _fits_kernels(output):
            return self.apply(super().relu_backward, g, output)
        g = self.in_order_of(output, g)
        dx = self.empty_like(output)
        grid = RELU_BACKWARD.grid(g.size)
        self.launch(RELU_BACKWARD, grid, g, output, dx, g.size, T=g.dtype)
        return dx


def _fits_kernels(x: Array) -> bool:
    """Tell whether the kernels can read x as `x.size` values one after the other."""
    return x.dtype.char in STORED and x.size < TOO_LARGE and fills_one_run(x)


def _model(arrays: list[Array]) -> Array | None:
    """Return the array that decides about the memory order of a result, if one has to."""
    for x in arrays:
        # A repeated value has no place of its own in the order.
        if not x.flags.c_contiguous and 0 not in x.strides and _holds(x.shape, arrays):
            return x
    return None


def _holds(shape: tuple[int, ...], arrays: list[Array]) -> bool:
    """Tell whether all arrays broadcast to this shape."""
    for x in arrays:
        if x.ndim > len(shape):
            return False
        tail = shape[len(shape) - x.ndim :]
        if any(n not in (1, m) for n, m in zip(x.shape, tail, strict=True)):
            return False
    return True
