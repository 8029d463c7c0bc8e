"""Batch normalisation on a GPU: two kernels forward, two backward.

The first kernel cuts each channel into pieces, and each block tells what it found in one of them;
the second joins what was found of its channel, in every block anew, and goes through the same
pieces again.
"""

from __future__ import annotations

from typing import Any

from ..dtypes import accumulator
from ..normalization import BatchGradients, NormalizationKernels, Normalizer
from .batch_norm import BATCH_NORM, NORMALIZE
from .batch_norm_backward import BATCH_NORM_BACKWARD, SUM_GRADIENTS
from .blocks import cut
from .layout import CudaLayout, dense, is_ordinary
from .moments import FIND_MOMENTS, TELL_STATISTICS

Array = Any


class CudaNormalization(CudaLayout, NormalizationKernels):
    """Batch normalisation on a GPU."""

    def batch_statistics(self, x: Array) -> tuple[Array, Array]:
        """Mean and (biased) variance of each channel, in two kernels."""
        if not _fits(x):
            return super().batch_statistics(x)
        grid, where = _cut(x)
        mean, variance = self._vectors(x)
        moments = self._moments(dense(self, x), grid, where)
        given = (moments, mean, variance, grid[1], *where[:2])
        self.launch(TELL_STATISTICS, grid[0], *given, T=x.dtype)
        return mean, variance

    def batch_norm(
        self,
        x: Array,
        weight: Array | None,
        bias: Array | None,
        eps: float,
        running: tuple[Array, Array] | None,
        momentum: float,
        shortcut: Array | None = None,
        rectify: bool = False,
    ) -> tuple[Array, tuple[Array, Array]]:
        """Normalise a batch by its own statistics, in two kernels.

        Parameters
        ----------
        x, shortcut : array, (N, C) or (N, C, *spatial), T
            float16, float32 or float64.
        weight, bias : array, (C,)
            In T or its accumulator A, which is float32 for float16.
        eps : float
        running : (array, array), (C,)
            Running mean and variance, written in place: the variance is the unbiased one.
        momentum : float
            The batch's share of the new running statistics.
        rectify : bool
            Whether a ReLU comes last.

        Returns
        -------
        array, of x's shape, T
        (array, array), (C,), A
            Mean and biased variance of the batch.
        """
        if not _fits(x, (shortcut,), (weight, bias)):
            given = (x, weight, bias, eps, running, momentum, shortcut, rectify)
            return super().batch_norm(*given)
        grid, where = _cut(x)
        count, values = where[0], dense(self, x)
        mean, variance = self._vectors(x)
        y = self._empty(x)
        moved = running if running is not None and _can_be_moved(running, mean) else (None, None)
        self.launch(
            BATCH_NORM,
            grid,
            values,
            None if shortcut is None else dense(self, shortcut),
            self._moments(values, grid, where),
            *self._wide(x, weight, bias),
            dense(self, y),
            mean,
            variance,
            *moved,
            momentum,
            1 - momentum,
            count / (count - 1) if count > 1 else 1.0,
            eps,
            rectify,
            *where,
            T=x.dtype,
        )
        if moved is not running:
            self.move_statistics(running, mean, variance, momentum, count)
        return y, (mean, variance)

    def normalize(
        self, x: Array, by: Normalizer, shortcut: Array | None = None, rectify: bool = False
    ) -> Array:
        """(x - mean) / std * weight + bias, plus the shortcut; ReLU: in one kernel.

        Parameters
        ----------
        x, shortcut : array, (N, C) or (N, C, *spatial), T
            float16, float32 or float64; the result is alike.
        by : Normalizer
            Vectors (C,) in T or its accumulator.
        rectify : bool
            Whether a ReLU comes last.
        """
        if not _fits(x, (shortcut,), by[:4]):
            return super().normalize(x, by, shortcut, rectify)
        grid, where = _cut(x)
        y = self._empty(x)
        values = dense(self, x), None if shortcut is None else dense(self, shortcut)
        vectors = self._wide(x, *by[:4])
        given = (*values, *vectors, dense(self, y), by.eps, rectify, *where)
        self.launch(NORMALIZE, grid, *given, T=x.dtype)
        return y

    def batch_norm_backward(
        self,
        g: Array,
        x: Array,
        by: Normalizer,
        output: Array | None = None,
        with_shortcut: bool = False,
    ) -> BatchGradients:
        """Gradients of `normalize`, in two kernels.

        With S the sum of g and P that of g * (x - mean):
        dx = weight / std * (g - S / M - (x - mean) / std^2 * P / M). Source: Ioffe and Szegedy 2015
        (arXiv 1502.03167), with their terms collected.

        Parameters
        ----------
        g, x, output : array, (N, C) or (N, C, *spatial), T
            `output` if a ReLU came last.
        by : Normalizer
            Vectors (C,) in T or its accumulator A.
        with_shortcut : bool
            Whether the shortcut's gradient is wanted.

        Returns
        -------
        BatchGradients
            dx and the shortcut's in T, of x's shape; those of weight and bias (C,) in A.
        """
        if not _fits(x, (g, output), by[:4]):
            return super().batch_norm_backward(g, x, by, output, with_shortcut)
        grid, where = _cut(x)
        mean, variance, weight = self._wide(x, *by[:3])
        values = dense(self, g), dense(self, x), None if output is None else dense(self, output)
        sums = self.xp.empty((*grid, 2))
        self.launch(SUM_GRADIENTS, grid, *values, mean, sums, *where, T=x.dtype)
        dx, masked = self._empty(x), None
        if with_shortcut:
            masked = g if output is None else self._empty(x)
        d_weight, d_bias = self._vectors(x)
        self.launch(
            BATCH_NORM_BACKWARD,
            grid,
            *values,
            sums,
            mean,
            variance,
            weight,
            dense(self, dx),
            None if masked is None or output is None else dense(self, masked),
            d_weight,
            d_bias,
            by.eps,
            by.constant,
            *where,
            T=x.dtype,
        )
        return BatchGradients(dx, masked, d_weight, d_bias)

    def _moments(self, values: Array, grid: tuple[int, int], where: tuple[int, ...]) -> Array:
        """Mean and sum of squared distances from it, of each channel's pieces, (C, pieces, 2)."""
        moments = self.xp.empty((*grid, 2))
        self.launch(FIND_MOMENTS, grid, values, moments, *where, T=values.dtype)
        return moments

    def _empty(self, x: Array) -> Array:
        """Allocate an array like x, in the device's memory order."""
        if x.ndim > 2:
            return self.empty_images(x.shape, x.dtype)
        return self.xp.empty(x.shape, x.dtype)

    def _vectors(self, x: Array) -> tuple[Array, Array]:
        """Allocate two vectors (C,) in the dtype of sums."""
        wide = accumulator(x.dtype)
        return self.xp.empty(x.shape[1], wide), self.xp.empty(x.shape[1], wide)

    def _wide(self, x: Array, *vectors: Array | None) -> list[Array | None]:
        """Return vectors as the kernels read them, in the dtype of sums; themselves in float32."""
        wide = accumulator(x.dtype)
        return [v if v is None else self.xp.ascontiguousarray(v, wide) for v in vectors]


def _cut(x: Array) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """Return the grid (C, pieces), and what tells a kernel where the elements of a piece lie."""
    channels = x.shape[1]
    count = x.size // channels
    pieces, length = cut(count, channels)
    steps = (count, 1) if x.ndim > 2 else (1, channels)
    return (channels, pieces), (count, length, *steps)


def _fits(
    x: Array, arrays: tuple[Array | None, ...] = (), vectors: tuple[Array | None, ...] = ()
) -> bool:
    """Tell whether the kernels can do this; the readable ones do what is empty, huge or mixed."""
    stored = x.dtype
    if not is_ordinary(x):
        return False
    kept = stored, accumulator(stored)
    return all(a is None or a.dtype == stored for a in arrays) and all(
        v is None or v.dtype in kept for v in vectors
    )


def _can_be_moved(running: tuple[Array, Array], mean: Array) -> bool:
    """Tell whether a kernel can write into these running statistics."""
    return all(s.dtype == mean.dtype and s.flags.c_contiguous for s in running)
