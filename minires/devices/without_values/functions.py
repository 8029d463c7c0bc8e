"""What stands for NumPy on the device "meta": the functions of NumPy's that minires uses.

Functions that compute element by element are NumPy's own, of which only the dtype is asked;
numbers and types, such as `inf` and `finfo`, are NumPy's, too.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from .arrays import MetaArray, Shape, broadcast, elementwise, phantom

_ELEMENTWISE = ("clip", "where")


def __getattr__(name: str) -> Any:
    found = getattr(np, name)
    if isinstance(found, np.ufunc) or name in _ELEMENTWISE:
        found = globals()[name] = functools.partial(elementwise, found)
    elif not isinstance(found, (type, int, float)):
        raise AttributeError(f"the device 'meta' does not know NumPy's {name!r}")
    return found


def full(shape: Any, fill_value: Any, dtype: Any = None) -> MetaArray:
    """Return an array of a shape; its dtype is that of the value unless it is given."""
    lengths = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    # NumPy checks them, as everywhere.
    kind = np.asarray(fill_value).dtype if dtype is None else np.dtype(dtype)
    return MetaArray(phantom(lengths).shape, kind)


def zeros(shape: Any, dtype: Any = float) -> MetaArray:
    """Return an array of a shape."""
    return full(shape, 0, dtype)


ones = empty = zeros


def full_like(x: MetaArray, _: Any, dtype: Any = None, shape: Any = None) -> MetaArray:
    """Return an array like x."""
    return zeros_like(x, dtype, shape)


def zeros_like(x: MetaArray, dtype: Any = None, shape: Any = None) -> MetaArray:
    """Return an array like x."""
    return zeros(x.shape if shape is None else shape, x.dtype if dtype is None else dtype)


ones_like = empty_like = zeros_like


def asarray(data: Any, dtype: Any = None) -> MetaArray:
    """Return an array with the shape and dtype of data on the host, or of an array."""
    array = data if hasattr(data, "shape") else np.asarray(data)
    return MetaArray(array.shape, array.dtype if dtype is None else np.dtype(dtype))


def arange(*limits: Any, dtype: Any = None) -> MetaArray:
    """Return an array as long as the numbers from start to stop, in steps."""
    start, stop, step, *kind = limits if len(limits) > 2 else (*((0, *limits)[-2:]), 1)
    dtype = kind[0] if kind else dtype
    if dtype is None:
        dtype = np.result_type(*(np.asarray(limit).dtype for limit in (start, stop, step)))
    return MetaArray((max(int(np.ceil((stop - start) / step)), 0),), np.dtype(dtype))


def eye(n: int, m: int | None = None, dtype: Any = float) -> MetaArray:
    """Return a matrix."""
    return zeros((n, n if m is None else m), dtype)


def broadcast_to(x: MetaArray, shape: Shape) -> MetaArray:
    """Return x repeated to a shape."""
    return MetaArray(np.broadcast_to(phantom(x.shape), shape).shape, x.dtype)


def flip(x: MetaArray, _: Any = None) -> MetaArray:
    """Return x, with axes reversed."""
    return x.copy()


def concatenate(arrays: Sequence[MetaArray], axis: int = 0) -> MetaArray:
    """Join arrays along an axis."""
    shape = list(arrays[0].shape)
    shape[axis] = sum(x.shape[axis] for x in arrays)
    return MetaArray(tuple(shape), np.result_type(*(x.dtype for x in arrays)))


def stack(arrays: Sequence[MetaArray]) -> MetaArray:
    """Join arrays along a new axis 0."""
    return concatenate([x[None] for x in arrays])


def take_along_axis(x: MetaArray, index: MetaArray, axis: int) -> MetaArray:
    """Pick values along an axis."""
    shape = list(broadcast(*(_without(array.shape, axis) for array in (x, index))))
    shape[axis] = index.shape[axis]
    return MetaArray(tuple(shape), x.dtype)


def _without(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], 1, *shape[axis:][1:])


def einsum(equation: str, *operands: MetaArray, optimize: Any = None) -> MetaArray:
    """Return the sums of products that a fully written equation, such as ``"ij,jk->ik"``, names."""
    letters, result = equation.split("->")
    lengths: dict[str, int] = {}
    for names, x in zip(letters.split(","), operands, strict=True):
        lengths |= zip(names, x.shape, strict=True)
    return MetaArray(
        tuple(lengths[name] for name in result), np.result_type(*(x.dtype for x in operands))
    )


def may_share_memory(a: Any, b: Any) -> bool:
    """Tell that no memory is shared, for there is none."""
    return False
