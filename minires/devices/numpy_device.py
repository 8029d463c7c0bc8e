"""The CPU: NumPy, written to be read."""

from __future__ import annotations

import contextlib
import functools
import os
import zlib
from types import ModuleType
from typing import Any

import numpy as np

from . import buffers, passes, threads
from .blocked_convolution import BlockedConvolution
from .blocked_elementwise import BlockedElementwise
from .blocked_normalization import BlockedNormalization
from .blocked_pooling import BlockedPooling
from .device import Array, Device
from .dtypes import as_dtype, default_float


def _passes() -> ModuleType:
    """Choose what computes batch normalisation: Numba's code, where it is installed and works."""
    wanted = os.environ.get("MINIRES_KERNELS", "")
    if wanted not in ("", "numpy"):
        raise RuntimeError(f"MINIRES_KERNELS is {wanted!r}; it can be 'numpy', or not be set")
    if wanted != "numpy":
        # A RuntimeError means that Numba found no place to keep what it compiles.
        with contextlib.suppress(ImportError, RuntimeError):
            from . import compiled_passes

            return compiled_passes
    return passes


class NumpyDevice(
    BlockedConvolution, BlockedNormalization, BlockedElementwise, BlockedPooling, Device
):
    """Arrays in the host's memory."""

    name = "cpu"
    xp = np

    @functools.cached_property
    def passes(self) -> Any:
        """What computes single passes of batch normalisation, chosen at its first use."""
        return _passes()

    @property
    def kernels(self) -> str:
        """What the fast kernels run on: ``"numba"`` with the extra `fast`, else ``"numpy"``.

        The environment variable ``MINIRES_KERNELS=numpy`` leaves Numba aside.
        """
        return "numpy" if self.passes is passes else "numba"

    def array(self, data: Any, dtype: Any = None) -> Array:
        """Copy `data`, keeping an array's memory order; Python floats become float32."""
        typed = isinstance(data, (np.ndarray, np.generic))
        array = np.array(data, order="K")
        if dtype is None and not typed and array.dtype.kind == "f":
            dtype = default_float
        target = as_dtype(array.dtype if dtype is None else dtype)
        return array.astype(target, copy=False)

    def to_numpy(self, array: Array) -> Array:
        """Return `array` itself."""
        return array

    def fingerprint(self, array: Array) -> int:
        """CRC-32 of the array's bytes."""
        return zlib.crc32(np.ascontiguousarray(array).data)

    def read_only(self, array: Array) -> Array:
        """Return a view that cannot be written into."""
        if not isinstance(array, np.ndarray):
            return array
        view = array.view()
        view.flags.writeable = False
        return view

    def quiet(self) -> contextlib.AbstractContextManager[Any]:
        """Return a context in which NaN and infinity arise without a warning."""
        return np.errstate(all="ignore")

    def matmul(self, a: Array, b: Array) -> Array:
        """Matrix product of the last two axes; large ones on several threads.

        BLAS computes on lanes that it then throws away, and what stands there may raise a false
        alarm; a true one shows in the result.
        """
        work = max(a.size * (b.shape[-1] if b.ndim > 1 else 1), b.size)
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            if work < threads.ALONE:
                return np.matmul(a, b)
            return _shared_out(a, b, work)

    def mix(self, matrix: Array, x: Array, axis: int) -> Array:
        """Multiply an axis by a matrix; what is not finite stays where it has a part."""
        with np.errstate(invalid="ignore", over="ignore"):
            y = super().mix(matrix, x, axis)
            # In float16 sums of finite values often are not.
            if np.isfinite(y.sum(dtype=np.result_type(y, np.float32))):
                return y
            return self.mix_apart(matrix, x, axis)

    def erf(self, x: Array) -> Array:
        """Error function, by SciPy."""
        from scipy.special import erf

        # SciPy knows no float16 and answers in a wider dtype.
        return erf(x).astype(x.dtype, copy=False)

    def add_at(self, target: Array, index: Any, values: Array) -> None:
        """``target[index] += values`` in which every repetition of an index counts."""
        np.add.at(target, index, values)


def _shared_out(a: Array, b: Array, work: int) -> Array:
    """Multiply on several threads, by rows or matrices of `a`; a single row by columns of `b`."""
    single = a.ndim == b.ndim == 2 and len(a) == 1 < a.shape[1]
    by_rows = a.ndim > 1 and (b.ndim == 2 or (a.ndim == b.ndim and len(a) == len(b)))
    count = b.shape[1] if single else len(a) if by_rows else 1
    shares = threads.shares(count, -(-count * threads.ALONE // work))
    if len(shares) == 1:
        # There, too, BLAS is to take no more threads than it is let have.
        return threads.run(lambda _: np.matmul(a, b), shares)[0]
    inner = np.broadcast_shapes(a.shape[1:-2], b.shape[1:-2]) if b.ndim > 2 else a.shape[1:-2]
    lead = a.shape[:1] if a.ndim > 2 else ()
    y = buffers.empty((*lead, *inner, a.shape[-2], b.shape[-1]), np.result_type(a, b))

    def multiply(share: slice) -> None:
        if a.shape[-1] == 1 and b.ndim == 2:
            # One product for each value: BLAS makes much more of it.
            np.multiply(a[share], b, out=y[share])
        elif single:
            np.matmul(a, b[:, share], out=y[:, share])
        else:
            np.matmul(a[share], b if b.ndim == 2 else b[share], out=y[share])

    threads.run(multiply, shares)
    return y
