"""Matrix products on a GPU."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

from .cublas import DATA_TYPES, Cublas, Matrix, load_library
from .launching import TOO_LARGE, Array, Launching


class CudaBlas(Launching):
    """Matrix products on a GPU, which may run while a graph is captured."""

    def _cublas_library(self) -> Any:
        """Return the loaded library."""
        return load_library(self.xp.cuda.runtime.runtimeGetVersion() // 1000)

    @functools.cached_property
    def cublas(self) -> Cublas:
        """cuBLAS on this GPU, loaded with the first product."""
        return Cublas(self._cublas_library(), self.xp)

    def gemm(
        self,
        a: Array,
        b: Array,
        out: Array | None = None,
        transpose_a: bool = False,
        transpose_b: bool = False,
    ) -> Array:
        """Matrix product of the last two axes, in one call of cuBLAS.

        Matrices are read as they lie in memory if their rows or their columns are contiguous, so
        that neither a flag nor a transposed view costs a copy. Others are copied first.

        Parameters
        ----------
        a : array, (..., M, K)
            float16 (added up in float32), float32 or float64; (..., K, M) with `transpose_a`.
        b : array, (..., K, N)
            Of the same dtype; (..., N, K) with `transpose_b`. Leading axes broadcast.
        out : array, (..., M, N), optional
            Where to write; it must not overlap `a` or `b`.
        transpose_a, transpose_b : bool
            Whether to exchange the last two axes first.

        Returns
        -------
        array, (..., M, N)
            `out`, or a new C-contiguous array. Zeros if K is 0.

        Raises
        ------
        TypeError
            If the dtypes differ, or are not floating.
        ValueError
            If the shapes do not fit, or matrices in `out` have neither rows nor columns that are
            contiguous.
        """
        a = a.swapaxes(-1, -2) if transpose_a else a
        b = b.swapaxes(-1, -2) if transpose_b else b
        if a.dtype != b.dtype or a.dtype not in DATA_TYPES:
            raise TypeError(
                f"gemm: both matrices must be float16, float32 or float64, found {a.dtype} and"
                f" {b.dtype}"
            )
        m, k = a.shape[-2:]
        n = b.shape[-1]
        if b.shape[-2] != k:
            raise ValueError(f"gemm: shapes {a.shape} and {b.shape} do not fit")
        if a.ndim == b.ndim == 2:
            leading: tuple[int, ...] = ()
        else:
            leading = self.xp.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        shape = (*leading, m, n)
        if out is None:
            out = self.xp.empty(shape, a.dtype)
        elif out.shape != shape or out.dtype != a.dtype:
            raise ValueError(
                f"gemm: out must be {a.dtype} of shape {shape}, found {out.dtype} of {out.shape}"
            )
        if out.size == 0:
            return out
        if k == 0:
            out.fill(0)
            return out
        self._product(a, b, out, leading, (m, n, k))
        return out

    def _product(
        self, a: Array, b: Array, out: Array, leading: tuple[int, ...], shape: tuple[int, int, int]
    ) -> None:
        c = _matrix(out)
        if c is None or (c.stride == 0 and math.prod(leading) > 1):
            raise ValueError(
                f"gemm: out has the strides {out.strides}; its rows or its columns must be"
                " contiguous, and its matrices lie at equal distances"
            )
        if c.transposed:
            m, n, k = shape
            first, second, result = [x.swapaxes(-1, -2) for x in (b, a, out)]
            self._product(first, second, result, leading, (n, m, k))  # out.T = b.T @ a.T
            return
        # Copied operands must outlive the call that is given their addresses.
        a, left = self._readable(a, leading)
        b, right = self._readable(b, leading)
        self.cublas.gemm(left, right, c, shape, out.dtype, math.prod(leading))

    def _readable(self, x: Array, leading: tuple[int, ...]) -> tuple[Array, Matrix]:
        """Return x, repeated along the leading axes, and copied if cuBLAS cannot read it so."""
        if x.shape[:-2] != leading:
            x = self.xp.broadcast_to(x, (*leading, *x.shape[-2:]))
        found = _matrix(x)
        if found is None:
            x = self.xp.ascontiguousarray(x)
            found = _matrix(x)
            assert found is not None
        return x, found

    def matmul(self, a: Array, b: Array) -> Array:
        """Matrix product of the last two axes; leading axes broadcast; 1-d operands are vectors.

        Integers, and lengths beyond cuBLAS's 32 bits, are left to CuPy.
        """
        if a.dtype not in DATA_TYPES or max(*a.shape, *b.shape) >= TOO_LARGE:
            return self.xp.matmul(a, b)
        if b.ndim == 1:
            return self.matmul(a, b.reshape(-1, 1))[..., 0]
        if a.ndim == 1:
            return self.matmul(a.reshape(1, -1), b)[..., 0, :]
        if a.ndim > 2 and b.ndim == 2 and a.flags.c_contiguous:
            # One tall matrix is quicker than a batch of small ones.
            rows = a.reshape(math.prod(a.shape[:-1]), a.shape[-1])
            return self.gemm(rows, b).reshape(*a.shape[:-1], b.shape[-1])
        return self.gemm(a, b)


def _matrix(x: Array) -> Matrix | None:
    """Describe the matrices in x (..., rows, columns) as cuBLAS reads them; None if it cannot."""
    size = x.itemsize
    *leading, rows, columns = x.shape
    *jumps, down, right = x.strides
    stride = _common_stride(leading, jumps, size)
    if stride is None:
        return None
    # The stride of an axis with one element says nothing.
    if right == size or columns == 1:
        ld = columns if rows == 1 else _whole(down, size)
        if ld is not None and ld >= columns:
            return Matrix(x.data.ptr, False, ld, stride)
    if down == size or rows == 1:
        ld = rows if columns == 1 else _whole(right, size)
        if ld is not None and ld >= rows:
            return Matrix(x.data.ptr, True, ld, stride)
    return None


def _whole(stride: int, size: int) -> int | None:
    """Return a stride in elements that a leading dimension can be."""
    return stride // size if stride % size == 0 and stride < size * TOO_LARGE else None


def _common_stride(leading: list[int], strides: list[int], size: int) -> int | None:
    """Return the one distance, in elements, at which all matrices lie in order; None if none."""
    axes = [(n, stride) for n, stride in zip(leading, strides, strict=True) if n > 1]
    if not axes:
        return 0
    for (_, outer), (n, inner) in itertools.pairwise(axes):
        if outer != n * inner:
            return None
    last = axes[-1][1]
    return last // size if last >= 0 and last % size == 0 else None
