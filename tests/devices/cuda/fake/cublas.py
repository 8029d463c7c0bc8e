"""libcublas on the host's memory, strict: it checks what cuBLAS checks, and where pointers lead.

It computes as Fortran does, column by column, from nothing but the addresses and numbers it is
given. So it proves that a wrapper's transposes, leading dimensions and strides are right.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from .cuda import get_current_stream
from .launching import launch
from .memory import allocation

INVALID_VALUE, NOT_SUPPORTED = 7, 15
_DTYPES = {0: np.dtype("float32"), 1: np.dtype("float64"), 2: np.dtype("float16")}
# compute type: which data it takes, and the type of alpha and beta.
_COMPUTE = {
    68: ({0, 2}, ctypes.c_float),
    77: ({0}, ctypes.c_float),
    70: ({1}, ctypes.c_double),
}
_TF32 = 77


class MisuseError(AssertionError):
    """What cuBLAS would do without a word, and compute something wrong or slow."""


class FakeCublas:
    """The library; its functions have the names and arguments of the C functions.

    Attributes
    ----------
    calls : list of str
        Names of the functions called.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._handle: int | None = None
        self._stream = 0
        self._workspace = 0
        self._mode = 0
        for name, function in _FUNCTIONS.items():
            setattr(self, name, _Function(self, name, function))

    def _create(self, handle: Any) -> int:
        self._handle = 0xC0FFEE
        ctypes.cast(handle, ctypes.POINTER(ctypes.c_void_p))[0] = self._handle
        return 0

    def _set_stream(self, stream: int | None) -> int:
        self._stream = stream or 0
        self._workspace = 0  # as the documentation says: back to the default workspace
        return 0

    def _set_workspace(self, pointer: int, size: int) -> int:
        memory = allocation(pointer)
        if memory is None or memory.nbytes < size:
            raise MisuseError(f"a workspace of {size} bytes at {pointer:#x}, which is not ours")
        self._workspace = size
        return 0

    def _set_math_mode(self, mode: int) -> int:
        self._mode = mode
        return 0

    def _gemm(self, *args: Any) -> int:
        head, (a, kind_a, lda, b, kind_b, ldb, beta, c, kind_c, ldc), tail = (
            args[:6], args[6:16], args[16:],
        )  # fmt: skip
        return self._product(
            head, (a, kind_a, lda, 0), (b, kind_b, ldb, 0), beta, (c, kind_c, ldc, 0), 1, tail
        )

    def _gemm_batched(self, *args: Any) -> int:
        return self._product(
            args[:6], args[6:10], args[10:14], args[14], args[15:19], args[19], args[20:]
        )

    def _product(self, head: Any, a: Any, b: Any, beta: Any, c: Any, batch: int, tail: Any) -> int:
        op_a, op_b, m, n, k, alpha = head
        compute, algorithm = tail
        if compute not in _COMPUTE or not a[1] == b[1] == c[1]:
            return NOT_SUPPORTED
        kinds, number = _COMPUTE[compute]
        if a[1] not in kinds:
            return NOT_SUPPORTED
        rows_a, rows_b = (k if op_a else m), (n if op_b else k)
        low = min(m, n, k, batch) < 1 or op_a not in (0, 1) or op_b not in (0, 1)
        if low or a[2] < max(1, rows_a) or b[2] < max(1, rows_b) or c[2] < max(1, m):
            return INVALID_VALUE
        if algorithm != -1:
            return INVALID_VALUE
        self._check_state()
        dtype = _DTYPES[a[1]]
        first, *reads = _columns(a, dtype, (rows_a, m if op_a else k), batch, "A")
        second, *more = _columns(b, dtype, (rows_b, k if op_b else n), batch, "B")
        result, *writes = _columns(c, dtype, (m, n), batch, "C")
        if batch > 1 and abs(c[3]) < c[2] * (n - 1) + m:
            raise MisuseError(f"the matrices of C overlap: stride {c[3]}")
        scale = [number.from_address(p).value for p in (alpha, beta)]

        def run() -> None:
            x, y = (
                v.swapaxes(-1, -2) if op else v for v, op in ((first(), op_a), (second(), op_b))
            )
            if compute == _TF32:
                x, y = tf32(x), tf32(y)
            wide = np.float64 if dtype == np.float64 else np.float32
            target = result()
            product = scale[0] * np.matmul(x.astype(wide), y.astype(wide))
            target[...] = product + scale[1] * target if scale[1] else product

        launch("gemm", run, reads + more, writes)
        return 0

    def _check_state(self) -> None:
        if get_current_stream().ptr != self._stream:
            raise MisuseError("gemm on another stream than CuPy's current one")
        if not self._workspace:
            raise MisuseError(
                "gemm without a workspace of its own since the stream was set: every capture"
                " would allocate one"
            )
        if self._mode != 16:
            raise MisuseError("gemm with a math mode that lets float16 be added up in float16")


def tf32(x: Any) -> Any:
    """Round float32 to the 10 bits behind the point that TF32 has."""
    bits = np.ascontiguousarray(x).view(np.uint32)
    return ((bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)


def _columns(
    matrix: Any, dtype: np.dtype, shape: tuple[int, int], batch: int, name: str
) -> tuple[Callable[[], np.ndarray], Any]:
    """Return what reads or writes column-major matrices, and whose memory that is.

    It is alive and long enough.
    """
    pointer, _, ld, stride = matrix
    rows, columns = shape
    last = stride * (batch - 1) + ld * (columns - 1) + rows
    size = dtype.itemsize
    memory = allocation(pointer)
    if memory is None:
        raise MisuseError(f"{name} is at {pointer:#x}, where nothing is allocated")
    if pointer + last * size > memory.ptr + memory.nbytes:
        raise MisuseError(
            f"{name}: {batch} matrices {shape} with leading dimension {ld} and stride {stride}"
            f" reach {pointer + last * size - memory.ptr - memory.nbytes} bytes beyond their memory"
        )
    if pointer % size:
        raise MisuseError(f"{name} is not aligned")

    def read() -> np.ndarray:
        flat = np.frombuffer((ctypes.c_uint8 * (last * size)).from_address(pointer), dtype)
        strides = (stride * size, size, ld * size)
        return np.lib.stride_tricks.as_strided(flat, (batch, *shape), strides)

    return read, SimpleNamespace(mem=memory)


class _Function:
    """One C function: checks the number of arguments and the handle."""

    argtypes: Any = None
    restype: Any = None

    def __init__(self, library: FakeCublas, name: str, function: Callable[..., int]) -> None:
        self._library, self._name, self._function = library, name, function

    def __call__(self, *args: Any) -> int:
        assert self.argtypes is not None, f"{self._name} has no argtypes: addresses would be cut"
        assert self.restype is ctypes.c_int
        assert len(args) == len(self.argtypes), f"{self._name} takes {len(self.argtypes)} arguments"
        values = [_value(x, kind) for x, kind in zip(args, self.argtypes, strict=True)]
        self._library.calls.append(self._name)
        if self._name != "cublasCreate_v2":
            handle, *values = values
            if handle != self._library._handle or handle is None:
                return 1
        return self._function(self._library, *values)


def _value(given: Any, kind: Any) -> Any:
    """Convert as ctypes does; what a C int cannot hold is an error here."""
    if isinstance(given, ctypes.c_void_p):
        return given.value
    if not isinstance(given, int):
        return given
    if kind is ctypes.c_int and not -(2**31) <= given < 2**31:
        raise MisuseError(f"{given} does not fit into a C int")
    return given


_FUNCTIONS: dict[str, Callable[..., int]] = {
    "cublasCreate_v2": FakeCublas._create,
    "cublasSetStream_v2": FakeCublas._set_stream,
    "cublasSetWorkspace_v2": FakeCublas._set_workspace,
    "cublasSetMathMode": FakeCublas._set_math_mode,
    "cublasGemmEx": FakeCublas._gemm,
    "cublasGemmStridedBatchedEx": FakeCublas._gemm_batched,
}
