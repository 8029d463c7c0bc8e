"""CuPy's functions on device arrays: NumPy's, behind a check of names, arguments and operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.devices.cuda import api

from . import counts, indexing
from .array import ndarray
from .errors import HiddenUploadError, OutsideMemoryError
from .launching import SCALARS, arrays_in, launch, refuse_host, unwrap, view, view_or_copy

# Answered from shapes and dtypes, on the host.
HOST = {
    "broadcast_shapes", "can_cast", "common_type", "finfo", "iinfo", "iscomplexobj", "isdtype",
    "isrealobj", "isscalar", "issubdtype", "may_share_memory", "min_scalar_type", "ndim",
    "promote_types", "result_type", "shape", "size",
}  # fmt: skip
_VIEWS = {
    "array_split", "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_arrays", "broadcast_to",
    "diagonal", "dsplit", "expand_dims", "flip", "fliplr", "flipud", "hsplit", "matrix_transpose",
    "moveaxis", "permute_dims", "ravel", "real", "reshape", "rollaxis", "rot90", "split", "squeeze",
    "swapaxes", "transpose", "vsplit",
}  # fmt: skip
# The shape of the result, or the work, depends on values that the host must see.
_SYNCHRONIZING = {
    "argwhere", "array2string", "array_repr", "array_str", "bincount", "compress", "extract",
    "flatnonzero", "histogram", "intersect1d", "lexsort", "nonzero", "setdiff1d", "setxor1d",
    "shares_memory", "union1d", "unique", "unique_all", "unique_counts", "unique_inverse",
    "unique_values",
}  # fmt: skip
_IN_PLACE = {"copyto", "fill_diagonal", "place", "put", "put_along_axis", "putmask"}
_KEEPS_ORDER = {"astype", "copy"}
# How many launches a call is, where it is more than one; some of these are estimates.
_COSTS = {
    "allclose": 3, "einsum": 2, "isclose": 2, "linspace": 2, "pad": 2, "put_along_axis": 3,
    "roll": 2, "std": 3, "take_along_axis": 3, "tensordot": 2, "var": 2,
}  # fmt: skip


def call(name: str, *args: Any, **kwargs: Any) -> Any:
    """Call CuPy's function `name`, or a dotted one such as ``linalg.norm``."""
    api.check_call(f"cupy.{name}", args, kwargs)
    if name in _IN_PLACE:
        return _in_place(name, args, kwargs)
    refuse_host((args, kwargs))
    _check_operands(name, args)
    if args and isinstance(args[0], ndarray):
        check_indices(name, args[0], args[1:], kwargs)
    if name in _SYNCHRONIZING or (name == "where" and len(args) == 1):
        counts.synchronized(f"{name}()")
    function: Any = np
    for part in name.split("."):
        function = getattr(function, part)
    hosts, keywords = unwrap(args), unwrap(kwargs)
    if name in _VIEWS:
        return _views(name, args, lambda: function(*hosts, **keywords))
    for _ in range(_COSTS.get(name, 1) - 1):
        counts.launched(name)
    out = kwargs.get("out")
    writes = None if out is None else (out,)
    order = "K" if name in _KEEPS_ORDER else "C"
    result = launch(
        name, lambda: tidy(function(*hosts, **keywords), order), arrays_in((args, kwargs)), writes
    )
    return result if out is None else out


def tidy(result: Any, order: str = "C") -> Any:
    """Return results as arrays, C-contiguous as CuPy's are; 0-d arrays stay arrays."""
    if isinstance(result, tuple | list):
        return tuple([tidy(part, order) for part in result])
    return np.asarray(result, order=order)


def check_indices(name: str, array: ndarray, args: Any, kwargs: Any) -> None:
    """Raise if the indices that `take` and `take_along_axis` are given do not fit."""
    if name not in ("take", "take_along_axis"):
        return
    indices = kwargs.get("indices", args[0] if args else None)
    axis = kwargs.get("axis", args[1] if len(args) > 1 else None)
    if isinstance(indices, ndarray):
        length = array.size if axis is None else array.shape[axis]
        indexing.check_range(indices, length, 0 if axis is None else axis)
    elif isinstance(indices, list | tuple):
        raise HiddenUploadError(f"{name}: a list of indices is a hidden upload")


def asarray(
    a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, blocking: bool = False
) -> ndarray:
    """Device arrays as they are (or cast); what is on the host is uploaded."""
    if isinstance(a, ndarray):
        wanted = a if dtype is None or a.dtype == dtype else a.astype(dtype)
        if order in ("C", "F") and not getattr(wanted.flags, f"{order.lower()}_contiguous"):
            wanted = wanted.copy(order)
        return wanted.copy("K") if copy and wanted is a else wanted
    return array(a, dtype, order=order or "K", blocking=blocking)


def array(
    obj: Any,
    dtype: Any = None,
    copy: Any = True,
    order: str = "K",
    subok: bool = False,
    ndmin: int = 0,
    *,
    blocking: bool = False,
) -> ndarray:
    """A new device array. A host array that is not Fortran-contiguous arrives C-contiguous."""
    if isinstance(obj, ndarray):
        if not copy and (dtype is None or obj.dtype == dtype):
            return obj
        return obj.astype(obj.dtype if dtype is None else dtype, order=order)
    if arrays_in(obj):
        refuse_host(obj)
        hosts = unwrap(obj)
        return launch("concatenate", lambda: np.array(hosts, dtype), arrays_in(obj))
    host = np.asarray(obj, dtype)
    if host.dtype.kind not in "biufc":
        raise ValueError(f"Unsupported dtype {host.dtype}")
    fortran = host.flags.f_contiguous and not host.flags.c_contiguous
    made = ndarray(host.shape, host.dtype, order="F" if order == "F" or
                   (order in "KA" and fortran) else "C")  # fmt: skip
    counts.upload("array()")
    made._host[...] = host
    return made if made.ndim >= ndmin else made.reshape((1,) * (ndmin - made.ndim) + made.shape)


def asnumpy(
    a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True
) -> np.ndarray:
    """A copy on the host, counted; what is on the host stays as it is."""
    return a.get(stream, order, out, blocking) if isinstance(a, ndarray) else np.asarray(a)


def as_strided(x: ndarray, shape: Any = None, strides: Any = None) -> ndarray:
    """A view with any strides, which must stay inside its allocation."""
    shape = x.shape if shape is None else tuple(shape)
    strides = x.strides if strides is None else tuple(strides)
    host = np.lib.stride_tricks.as_strided(x._host, shape, strides)
    low, high = np.lib.array_utils.byte_bounds(host)
    if host.size and (low < x.mem.ptr or high > x.mem.ptr + x.mem.nbytes):
        raise OutsideMemoryError(
            f"as_strided: shape {shape} with strides {strides} reaches outside of the"
            f" {x.mem.nbytes} bytes that the array lives in"
        )
    return view(x, host)


def sliding_window_view(
    x: ndarray, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> ndarray:
    """A view; but CuPy puts the window's shape on the device and reads it back, entry by entry."""
    for _ in np.atleast_1d(window_shape):
        counts.upload("sliding_window_view()")
        counts.synchronized("sliding_window_view()")
    return view(x, np.lib.stride_tricks.sliding_window_view(x._host, window_shape, axis))


def _check_operands(name: str, args: Any) -> None:
    """Raise TypeError if what should be a device array is a list of numbers."""
    if not args or name in _MAKERS or isinstance(args[0], (ndarray, *SCALARS, str)):
        return
    if isinstance(args[0], list | tuple) and not arrays_in(args[0]) and name not in HOST:
        raise TypeError(f"cupy.{name}: a list is no device array")


_MAKERS = {"indices", "tri", "eye", "identity", "arange", "linspace", "logspace", "meshgrid"}


def _views(name: str, args: Any, function: Callable[[], Any]) -> Any:
    result = function()
    if isinstance(result, list | tuple):
        sources = args if name == "broadcast_arrays" else [args[0]] * len(result)
        return [view(source, part) for source, part in zip(sources, result, strict=True)]
    if name == "broadcast_to":
        result.flags.writeable = True  # CuPy knows no read-only arrays
        return view(args[0], result)
    return view_or_copy(name, args[0], function)


def _in_place(name: str, args: Any, kwargs: Any) -> None:
    target, *others = args
    if not isinstance(target, ndarray):
        raise AttributeError("'memoryview' object has no attribute 'copy_from_async'")
    if name == "copyto" and isinstance(others[0], np.ndarray) and others[0].ndim:
        raise ValueError("non-scalar numpy.ndarray cannot be used for copyto")
    if name != "copyto":
        refuse_host((others, kwargs))
    host, hosts, function = target._host, unwrap(others), getattr(np, name)
    keywords = {key: unwrap(value) for key, value in kwargs.items() if value is not None}
    launch(
        name,
        lambda: function(host, *hosts, **keywords),
        arrays_in((others, kwargs)),
        (target,),
    )
