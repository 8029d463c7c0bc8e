"""The strict device array: real memory of the host behind the manners of `cupy.ndarray`."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.devices.cuda import api

from . import counts, indexing, memory
from .errors import OutsideMemoryError, StrayNumpyError, UndefinedCastError
from .launching import Core, arrays_in, launch, refuse_host, unwrap, view, view_or_copy

_STEALING = {"partition", "sort"}  # methods that work in place
_VIEWS = {"diagonal", "ravel", "reshape", "squeeze", "swapaxes", "transpose", "view"}
_SYNCHRONIZING = {"compress", "dump", "dumps", "nonzero", "tobytes", "tofile"}


class Flags:
    """CuPy's flags: contiguity and ownership; there is no `writeable`."""

    def __init__(self, array: ndarray) -> None:
        self.c_contiguous = array._host.flags.c_contiguous
        self.f_contiguous = array._host.flags.f_contiguous
        self.owndata = array.base is None
        self.forc = self.c_contiguous or self.f_contiguous
        self.fnc = self.f_contiguous and not self.c_contiguous

    def __getitem__(self, name: str) -> bool:
        return getattr(self, name.lower())


class ndarray(Core):  # noqa: N801 (CuPy's name)
    """An array on the fake device. Its memory is the host's, at the address `data.ptr`.

    Every launch passes through `launching.launch`.
    """

    __slots__ = ()
    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self,
        shape: Any,
        dtype: Any = float,
        memptr: Any = None,
        strides: Any = None,
        order: str = "C",
    ) -> None:
        shape = (operator.index(shape),) if not isinstance(shape, tuple | list) else tuple(shape)
        self.base = None
        if memptr is None:
            self._host, self.mem = memory.allocate(shape, dtype, order)
            return
        self.mem = memptr.mem
        try:
            self._host = np.ndarray(
                shape, dtype, self.mem.buffer, memptr.offset, strides, None if strides else order
            )
        except (TypeError, ValueError) as error:
            raise OutsideMemoryError(
                f"shape {shape}, dtype {np.dtype(dtype)}, strides {strides}: does not fit"
                f" into its {self.mem.nbytes} bytes at offset {memptr.offset}: {error}"
            ) from None

    shape = property(lambda self: self._host.shape)
    strides = property(lambda self: self._host.strides)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    itemsize = property(lambda self: self._host.itemsize)
    nbytes = property(lambda self: self._host.nbytes)
    flags = property(Flags)
    T = property(lambda self: view(self, self._host.T))
    mT = property(lambda self: view(self, self._host.mT))  # noqa: N815 (CuPy's name)
    real = property(lambda self: self if self.dtype.kind != "c" else view(self, self._host.real))
    imag = property(lambda self: view(self, self._host.imag))

    @property
    def data(self) -> memory.MemoryPointer:
        address = self._host.__array_interface__["data"][0]
        return memory.MemoryPointer(self.mem, address - self.mem.ptr)

    @property
    def device(self) -> Any:
        from .cuda import Device

        return Device(0)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "descr": self.dtype.descr,
            "version": 3,
            "strides": None if self._host.flags.c_contiguous else self.strides,
            "data": (self.data.ptr, False),
        }

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed."
            " Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        # CuPy computes np.exp(device) and says nothing. Purity is what is tested here, so only
        # what Python's operators come to is computed: a NumPy scalar beside a device array.
        refuse_host(inputs)
        refuse_host(kwargs)
        if method == "__call__" and any(isinstance(x, np.generic) for x in inputs) and not kwargs:
            from .ufuncs import Ufunc

            return Ufunc(ufunc.__name__)(*inputs)
        raise StrayNumpyError(
            f"np.{ufunc.__name__} was called with a device array; call the device's function"
            f" (xp.{ufunc.__name__})"
        )

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function is np.copyto and isinstance(args[0], np.ndarray):
            raise AttributeError("'memoryview' object has no attribute 'copy_from_async'")
        name = function.__name__
        if name not in api.names("cupy") | api.names("cupy.linalg"):
            raise TypeError(f"no implementation found for 'numpy.{name}' on types {types}")
        raise StrayNumpyError(
            f"np.{name} was called with a device array; call the device's function (xp.{name})"
        )

    # What makes the host wait.

    def item(self, *args: Any) -> Any:
        counts.synchronized("item()")
        return self._host.item(*args)

    def tolist(self) -> Any:
        counts.synchronized("tolist()")
        return self._host.tolist()

    def __bool__(self) -> bool:
        if self.size > 1:
            raise ValueError(
                "The truth value of an array with more than one element is ambiguous."
                " Use a.any() or a.all()"
            )
        counts.synchronized("bool() or if")
        return bool(self._host)

    def __float__(self) -> float:
        counts.synchronized("float()")
        return float(self._host)

    def __int__(self) -> int:
        counts.synchronized("int()")
        return int(self._host)

    def __complex__(self) -> complex:
        counts.synchronized("complex()")
        return complex(self._host)

    def __format__(self, spec: str) -> str:
        counts.synchronized("format()")
        return format(self._host[()], spec)

    def __repr__(self) -> str:
        counts.synchronized("repr()")
        return repr(self._host)

    def __str__(self) -> str:
        counts.synchronized("str()")
        return str(self._host)

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Iterator[ndarray]:
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        return any(bool(row) for row in (self == value))

    def __reduce__(self) -> Any:
        counts.synchronized("pickle")
        from .functions import asarray

        return asarray, (self._host.copy(),)

    def __copy__(self) -> ndarray:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> ndarray:
        return self.copy()

    # Transfers.

    def get(
        self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True
    ) -> np.ndarray:
        counts.download("get()")
        if order == "C" and not self._host.flags.c_contiguous and out is None:
            counts.launched("ascontiguousarray")
        if out is None:
            return np.array(self._host, order=order)
        if out.dtype != self.dtype or out.shape != self.shape:
            raise ValueError(f"out is {out.dtype}{out.shape}, the array {self.dtype}{self.shape}")
        out[...] = self._host
        return out

    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if arr.dtype != self.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self.dtype} array")
        if arr.shape != self.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        if not (self._host.flags.c_contiguous or self._host.flags.f_contiguous):
            raise RuntimeError("Cannot set to non-contiguous array")
        counts.upload("set()")
        self._host[...] = arr

    # Indexing.

    def __getitem__(self, index: Any) -> ndarray:
        return indexing.read(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        indexing.write(self, index, value)

    # Methods.

    def fill(self, value: Any) -> None:
        if isinstance(value, np.ndarray) and value.ndim:
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        host, given = self._host, unwrap(value)
        launch("fill", lambda: np.copyto(host, given, casting="unsafe"), (), (self,))

    def astype(
        self, dtype: Any, order: str = "K", casting: Any = None, subok: Any = None, copy: Any = True
    ) -> ndarray:
        if not copy and self.dtype == np.dtype(dtype):
            return self
        host = self._host
        check_cast(host, np.dtype(dtype))
        return launch("astype", lambda: host.astype(dtype, order=order, copy=True), (self,))

    def copy(self, order: str = "C") -> ndarray:
        host = self._host
        return launch("copy", lambda: host.copy(order=order), (self,))

    def flatten(self, order: str = "C") -> ndarray:
        host = self._host
        return launch("flatten", lambda: host.flatten(order), (self,))

    def dot(self, b: ndarray, out: ndarray | None = None) -> ndarray:
        from .functions import call

        return call("dot", self, b, **({} if out is None else {"out": out}))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in api.names("cupy.ndarray"):
            raise AttributeError(f"'ndarray' object has no attribute {name!r}")
        return lambda *args, **kwargs: self._method(name, args, kwargs)

    def _method(self, name: str, args: Any, kwargs: Any) -> Any:
        api.check_call(f"cupy.ndarray.{name}", args, kwargs)
        refuse_host((args, kwargs))
        from .functions import check_indices, tidy

        check_indices(name, self, args, kwargs)
        if name in _SYNCHRONIZING:
            counts.synchronized(f"{name}()")
        hosts, keywords, host = unwrap(args), unwrap(kwargs), self._host
        reads = [self, *arrays_in((args, kwargs))]
        method = getattr(host, name)
        if name in _VIEWS:
            return view_or_copy(name, self, lambda: method(*hosts, **keywords))
        if name in _STEALING:
            return launch(name, lambda: method(*hosts, **keywords), reads, (self,))
        out = kwargs.get("out")
        writes = None if out is None else (out,)
        result = launch(name, lambda: tidy(method(*hosts, **keywords)), reads, writes)
        return result if out is None else out


def check_cast(host: np.ndarray, dtype: np.dtype) -> None:
    """Raise UndefinedCastError if a cast would give other integers on a GPU than on a CPU."""
    if host.dtype.kind != "f" or dtype.kind not in "iu":
        return
    limits = np.iinfo(dtype)
    whole = np.trunc(host.astype("float64"))
    if not ((whole >= limits.min) & (whole <= limits.max)).all():
        raise UndefinedCastError(
            f"astype({dtype}) of NaN, infinity, or a number beyond {limits.min} to {limits.max}:"
            " the integers that this gives differ from processor to processor"
        )
