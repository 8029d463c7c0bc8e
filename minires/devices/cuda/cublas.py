"""cuBLAS by its C functions, with a handle of our own.

CuPy's wrappers of cuBLAS refuse to run while a stream captures a graph, though cuBLAS itself does
not mind. So the few functions that products of matrices need are called directly.
"""

from __future__ import annotations

import ctypes
import threading
from typing import Any, NamedTuple

import numpy as np

from ..precision import tf32_is_allowed

# The names and numbers of cublas_api.h and library_types.h.
OP_N, OP_T = 0, 1
DATA_TYPES: dict[np.dtype[Any], int] = {
    np.dtype("float32"): 0,
    np.dtype("float64"): 1,
    np.dtype("float16"): 2,
}
COMPUTE_32F, COMPUTE_64F, COMPUTE_32F_FAST_TF32 = 68, 70, 77
GEMM_DEFAULT = -1
# float16 is added up in float32 to the end, also where a sum is split among blocks.
MATH_DISALLOW_REDUCED_PRECISION_REDUCTION = 16
STATUS = {
    1: "NOT_INITIALIZED",
    3: "ALLOC_FAILED",
    7: "INVALID_VALUE",
    8: "ARCH_MISMATCH",
    11: "MAPPING_ERROR",
    13: "EXECUTION_FAILED",
    14: "INTERNAL_ERROR",
    15: "NOT_SUPPORTED",
    16: "LICENSE_ERROR",
}
_ADVICE = {
    1: "the driver or the GPU is not ready; see `minires info`",
    3: "the GPU's memory is full; use smaller batches",
    8: "this cuBLAS is not made for this GPU; install CuPy for the CUDA version of the driver",
    13: "an earlier kernel may have failed; run again with CUDA_LAUNCH_BLOCKING=1",
}

# What cuBLAS asks for on Hopper, and more than it uses elsewhere.
WORKSPACE = 32 << 20

_int, _long, _pointer = ctypes.c_int, ctypes.c_longlong, ctypes.c_void_p
_SHAPE = [_pointer, _int, _int, _int, _int, _int, _pointer]
_SIGNATURES: dict[str, list[Any]] = {
    "cublasCreate_v2": [_pointer],
    "cublasSetStream_v2": [_pointer, _pointer],
    "cublasSetWorkspace_v2": [_pointer, _pointer, ctypes.c_size_t],
    "cublasSetMathMode": [_pointer, _int],
    "cublasGemmEx": [
        *_SHAPE,
        *(_pointer, _int, _int),
        *(_pointer, _int, _int, _pointer),
        *(_pointer, _int, _int, _int, _int),
    ],
    "cublasGemmStridedBatchedEx": [
        *_SHAPE,
        *(_pointer, _int, _int, _long),
        *(_pointer, _int, _int, _long, _pointer),
        *(_pointer, _int, _int, _long, _int, _int, _int),
    ],
}


class CublasError(RuntimeError):
    """cuBLAS returned a status other than success."""


class Matrix(NamedTuple):
    """Row-major matrices in memory; `transposed` ones lie there as their transpose.

    Attributes
    ----------
    pointer : int
    transposed : bool
    ld : int
        Elements from one row in memory to the next.
    stride : int
        Elements from one matrix of a batch to the next; 0 if all are the same one.
    """

    pointer: int
    transposed: bool
    ld: int
    stride: int = 0


def load_library(version: int) -> Any:
    """Load cuBLAS, where CuPy finds it, or by its name for CUDA's major version.

    Raises
    ------
    RuntimeError
        If it is not found; it says what to install.
    """
    names = [f"libcublas.so.{number}" for number in dict.fromkeys((version, 13, 12))]
    try:
        from cuda import pathfinder

        names.insert(0, pathfinder.load_nvidia_dynamic_lib("cublas").abs_path)
    except (ImportError, RuntimeError, AttributeError):
        pass  # an older CuPy comes without it; its names are left to try
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise RuntimeError(
        f"cuBLAS is not installed (tried {', '.join(names)}); install CuPy together with CUDA's"
        f" libraries: pip install 'cupy-cuda{version}x[ctk]'"
    )


class Cublas:
    """A handle of cuBLAS on the current GPU.

    It follows CuPy's current stream. Each stream gets a workspace that is never given back: a
    captured graph holds its address, and with a workspace of its own a stream computes the same
    bits in every run. Shared between threads; there is one lock.

    Parameters
    ----------
    library
        The loaded library, or what stands in for it.
    xp
        CuPy.
    """

    def __init__(self, library: Any, xp: Any) -> None:
        self._xp = xp
        self._functions = {}
        for name, types in _SIGNATURES.items():
            function = self._functions[name] = getattr(library, name)
            function.argtypes, function.restype = types, ctypes.c_int
        self._lock = threading.Lock()
        self._stream: int | None = None
        self._workspaces: dict[int, Any] = {}
        handle = ctypes.c_void_p()
        self._call("cublasCreate_v2", ctypes.byref(handle))
        self._handle = handle
        self._call("cublasSetMathMode", handle, MATH_DISALLOW_REDUCED_PRECISION_REDUCTION)
        single, double = (ctypes.c_float * 2)(1, 0), (ctypes.c_double * 2)(1, 0)
        self._numbers = {
            dtype: (single, 4) if dtype.itemsize < 8 else (double, 8) for dtype in DATA_TYPES
        }

    def _call(self, name: str, *args: Any) -> None:
        status = self._functions[name](*args)
        if status:
            title = f"CUBLAS_STATUS_{STATUS.get(status, status)}"
            advice = _ADVICE.get(status, "please report this with a small example")
            raise CublasError(f"{name} returned {title}: {advice}")

    def _follow(self, stream: int) -> None:
        """Work on another stream from now on."""
        self._call("cublasSetStream_v2", self._handle, stream)
        workspace = self._workspaces.get(stream)
        if workspace is None:
            workspace = self._workspaces[stream] = self._xp.empty(WORKSPACE, np.uint8)
        # A change of the stream puts cuBLAS back to workspaces of its own.
        self._call("cublasSetWorkspace_v2", self._handle, workspace.data.ptr, workspace.nbytes)
        self._stream = stream

    def gemm(
        self,
        a: Matrix,
        b: Matrix,
        c: Matrix,
        shape: tuple[int, int, int],
        dtype: np.dtype[Any],
        batch: int = 1,
    ) -> None:
        """Compute c = a @ b on the current stream.

        Parameters
        ----------
        a, b, c : Matrix
            Of `batch` matrices (M, K), (K, N) and (M, N); c is not transposed.
        shape : (M, N, K)
            None of them 0.
        dtype : dtype
            float16, which is added up in float32; float32; float64.
        batch : int
            How many products.
        """
        m, n, k = shape
        numbers, size = self._numbers[dtype]
        one = ctypes.addressof(numbers)
        kind = DATA_TYPES[dtype]
        compute = COMPUTE_64F if size == 8 else COMPUTE_32F
        if kind == 0 and tf32_is_allowed():
            compute = COMPUTE_32F_FAST_TF32
        # cuBLAS counts along columns and so takes what lies in memory for the transposes. It is
        # asked for c.T = b.T @ a.T.
        first = (b.pointer, kind, b.ld)
        second = (a.pointer, kind, a.ld)
        result = (c.pointer, kind, c.ld)
        ops = int(b.transposed), int(a.transposed)
        with self._lock:
            stream = self._xp.cuda.get_current_stream().ptr
            if stream != self._stream:
                self._follow(stream)
            head = (self._handle, *ops, n, m, k, one)
            if batch == 1:
                tail = (*result, compute, GEMM_DEFAULT)
                self._call("cublasGemmEx", *head, *first, *second, one + size, *tail)
                return
            self._call(
                "cublasGemmStridedBatchedEx",
                *head,
                *(*first, b.stride),
                *(*second, a.stride, one + size),
                *(*result, c.stride, batch, compute, GEMM_DEFAULT),
            )
