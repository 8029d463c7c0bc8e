"""Making device arrays: poisoned where CuPy leaves them uninitialised."""

from __future__ import annotations

from typing import Any

import numpy as np

from .array import ndarray
from .launching import launch, unwrap


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """Uninitialised: NaN in floats, a pattern in integers. No launch."""
    return ndarray(shape, dtype, order=order)


def empty_like(
    prototype: Any, dtype: Any = None, order: str = "K", subok: None = None, shape: Any = None
) -> ndarray:
    """Uninitialised, in the memory order of the prototype."""
    if subok is not None:
        raise TypeError("subok is not supported yet")
    if isinstance(prototype, np.ndarray):
        raise TypeError("empty_like: a host array is no prototype of a device array")
    like = np.empty_like(prototype._host, dtype, order=order, shape=shape)
    if like.flags.c_contiguous:
        return ndarray(like.shape, like.dtype)
    by_stride = sorted(range(like.ndim), key=lambda axis: (-like.strides[axis], axis))
    dense = ndarray(tuple([like.shape[axis] for axis in by_stride]), like.dtype)
    made = dense.transpose(*np.argsort(by_stride).tolist())
    made.base = None
    return made


def _fill(made: ndarray, value: Any) -> ndarray:
    if isinstance(value, np.ndarray) and value.ndim:
        raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
    host, given = made._host, unwrap(value)
    reads = [value] if isinstance(value, ndarray) else []
    launch("fill", lambda: np.copyto(host, given, casting="unsafe"), reads, (made,))
    return made


def zeros(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """Zeros, set by one launch."""
    return _fill(empty(shape, dtype, order), 0)


def ones(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """Ones, set by one launch."""
    return _fill(empty(shape, dtype, order), 1)


def full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C") -> ndarray:
    """`fill_value` everywhere, of its dtype unless told otherwise."""
    if dtype is None:
        dtype = getattr(fill_value, "dtype", None) or np.array(fill_value).dtype
    return _fill(empty(shape, dtype, order), fill_value)


def zeros_like(
    a: Any, dtype: Any = None, order: str = "K", subok: None = None, shape: Any = None
) -> ndarray:
    """Zeros in the memory order of `a`."""
    return _fill(empty_like(a, dtype, order, subok, shape), 0)


def ones_like(
    a: Any, dtype: Any = None, order: str = "K", subok: None = None, shape: Any = None
) -> ndarray:
    """Ones in the memory order of `a`."""
    return _fill(empty_like(a, dtype, order, subok, shape), 1)


def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: None = None,
    shape: Any = None,
) -> ndarray:
    """`fill_value` everywhere, in the memory order of `a`."""
    return _fill(empty_like(a, dtype, order, subok, shape), fill_value)


def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    """`a` itself if it is C-contiguous already; what is on the host is uploaded."""
    from .functions import asarray

    made = asarray(a, dtype, "C")
    return made if made.ndim else made.reshape(1)


def empty_pinned(shape: Any, dtype: Any = float, order: str = "C") -> np.ndarray:
    """A host array in memory that the device can copy from while the host goes on."""
    return np.empty(shape, dtype, order)
