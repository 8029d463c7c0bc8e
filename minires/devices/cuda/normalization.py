"""Batch normalisation on a GPU: two kernels forward, two backward.

The first kernel cuts each channel into pieces, and each block tells what it found in one of them;
the second joins what was found of its channel, in every block anew, and goes through the same
pieces again. Letters: C channels of M values each; element m of channel c lies at
``c * channel_step + m * step``, so that images (C, N, *spatial) and matrices (N, C) are one case.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import accumulator
from ..normalization import BatchGradients, NormalizationKernels, Normalizer
from .blocks import GROUP_SUM, cut
from .kernel import Kernel
from .launching import TOO_LARGE
from .layout import STORED, CudaLayout, dense

Array = Any

_PAIR = (
    r"""
struct Pair { double first, second; };

__device__ Pair operator+(Pair a, Pair b) { return {a.first + b.first, a.second + b.second}; }
"""
    + GROUP_SUM
)

# One text, so that normalising again gives the same bits.
_NORMALIZE_PIECE = r"""
__device__ A scale_of(A variance, A eps, const A* weight) {
    A inverse_std = 1 / sqrt(variance + eps);
    return weight ? inverse_std * weight[blockIdx.x] : inverse_std;
}

__device__ void normalize_piece(const T* x, const T* shortcut, T* y, A mean, A scale, A shift,
                                bool rectify, unsigned count, unsigned length,
                                unsigned channel_step, unsigned step) {
    unsigned start = blockIdx.y * length, end = min(start + length, count);
    for (unsigned m = start + threadIdx.x; m < end; m += BLOCK) {
        unsigned i = blockIdx.x * channel_step + m * step;
        A v = ((A)x[i] - mean) * scale + shift;
        if (shortcut) v += (A)shortcut[i];
        y[i] = (T)(rectify && v <= 0 ? (A)0 : v);  // NaN stays NaN
    }
}
"""

# Moments of the pieces joined as by Chan, Golub and LeVeque (1979): each contributes its own
# squares, and those of its mean's distance from the mean of all.
_JOIN_MOMENTS = r"""
// Mean and variance of this block's channel.
__device__ Pair join_moments(const double* moments, unsigned pieces, unsigned count,
                             unsigned length) {
    const double* own = moments + 2 * pieces * blockIdx.x;
    double sum = 0, square = 0;
    for (unsigned p = threadIdx.x; p < pieces; p += BLOCK)
        sum += min(length, count - p * length) * own[2 * p];
    double mean = block_sum(sum) / count;
    for (unsigned p = threadIdx.x; p < pieces; p += BLOCK) {
        double away = own[2 * p] - mean;
        square += own[2 * p + 1] + min(length, count - p * length) * away * away;
    }
    return {mean, block_sum(square) / count};
}
"""


def _channels(a: Array, count: int, step: int) -> Array:
    """View an array's memory as (C, M)."""
    return a.reshape(-1, count) if step == 1 else a.reshape(count, -1).T


def _find_moments(
    x: Array, moments: Array, count: int, length: int, channel_step: int, step: int
) -> None:
    values = _channels(x, count, step).astype("float64")
    for p, start in enumerate(range(0, count, length)):
        piece = values[:, start : start + length]
        mean = piece.mean(1)
        moments[:, p, 0] = mean
        moments[:, p, 1] = np.square(piece - mean[:, None]).sum(1)


# The second look finds the piece in the cache. It takes away the rounding of the first mean, too.
FIND_MOMENTS = Kernel(
    _PAIR
    + r"""
extern "C" __global__ void find_moments(const T* x, double* moments, unsigned count,
                                        unsigned length, unsigned channel_step, unsigned step) {
    unsigned start = blockIdx.y * length, end = min(start + length, count);
    const T* channel = x + blockIdx.x * channel_step;
    A sum = 0;
    for (unsigned m = start + threadIdx.x; m < end; m += BLOCK) sum += (A)channel[m * step];
    A mean = (A)(block_sum((double)sum) / (end - start));

    A rest = 0, square = 0;
    for (unsigned m = start + threadIdx.x; m < end; m += BLOCK) {
        A away = (A)channel[m * step] - mean;
        rest += away;
        square += away * away;
    }
    Pair found = block_sum(Pair{(double)rest, (double)square});
    if (threadIdx.x == 0) {
        double more = found.first / (end - start);
        double* own = moments + 2 * (blockIdx.x * gridDim.y + blockIdx.y);
        own[0] = (double)mean + more;
        own[1] = found.second - found.first * more;
    }
}
""",
    plain=_find_moments,
)


def _joined(moments: Array, count: int, length: int) -> tuple[Array, Array]:
    """Mean and variance of all channels, (C,)."""
    starts = length * np.arange(moments.shape[1])
    lengths = np.minimum(length, count - starts)
    mean = (lengths * moments[:, :, 0]).sum(1) / count
    away = moments[:, :, 0] - mean[:, None]
    return mean, (moments[:, :, 1] + lengths * away**2).sum(1) / count


def _tell_statistics(
    moments: Array, mean: Array, variance: Array, pieces: int, count: int, length: int
) -> None:
    mean[...], variance[...] = _joined(moments, count, length)


TELL_STATISTICS = Kernel(
    _PAIR
    + _JOIN_MOMENTS
    + r"""
extern "C" __global__ void tell_statistics(const double* moments, A* mean, A* variance,
                                           unsigned pieces, unsigned count, unsigned length) {
    Pair own = join_moments(moments, pieces, count, length);
    if (threadIdx.x == 0) {
        mean[blockIdx.x] = (A)own.first;
        variance[blockIdx.x] = (A)own.second;
    }
}
""",
    plain=_tell_statistics,
)


def _normalize(
    x: Array,
    shortcut: Array | None,
    mean: Array,
    variance: Array,
    weight: Array | None,
    bias: Array | None,
    y: Array,
    eps: float,
    rectify: bool,
    count: int,
    length: int,
    channel_step: int,
    step: int,
) -> None:
    values = _channels(x, count, step).astype(mean.dtype)
    scale = 1 / np.sqrt(variance + eps)
    scale = scale if weight is None else scale * weight
    values = (values - mean[:, None]) * scale[:, None]
    if bias is not None:
        values += bias[:, None]
    if shortcut is not None:
        values += _channels(shortcut, count, step)
    if rectify:
        values[values <= 0] = 0
    _channels(y, count, step)[...] = values


NORMALIZE = Kernel(
    _NORMALIZE_PIECE
    + r"""
extern "C" __global__ void normalize(const T* __restrict__ x, const T* __restrict__ shortcut,
                                     const A* mean, const A* variance, const A* weight,
                                     const A* bias, T* __restrict__ y, A eps, bool rectify,
                                     unsigned count, unsigned length, unsigned channel_step,
                                     unsigned step) {
    unsigned c = blockIdx.x;
    A scale = scale_of(variance[c], eps, weight), shift = bias ? bias[c] : 0;
    normalize_piece(x, shortcut, y, mean[c], scale, shift, rectify, count, length, channel_step,
                    step);
}
""",
    plain=_normalize,
)


def _batch_norm(
    x: Array,
    shortcut: Array | None,
    moments: Array,
    weight: Array | None,
    bias: Array | None,
    y: Array,
    mean: Array,
    variance: Array,
    running_mean: Array | None,
    running_variance: Array | None,
    momentum: float,
    keep: float,
    unbias: float,
    eps: float,
    rectify: bool,
    count: int,
    length: int,
    channel_step: int,
    step: int,
) -> None:
    mean[...], variance[...] = _joined(moments, count, length)
    if running_mean is not None and running_variance is not None:
        running_mean[...] = running_mean * keep + mean * momentum
        running_variance[...] = running_variance * keep + variance * unbias * momentum
    given = (x, shortcut, mean, variance, weight, bias, y, eps, rectify)
    _normalize(*given, count, length, channel_step, step)


BATCH_NORM = Kernel(
    _PAIR
    + _JOIN_MOMENTS
    + _NORMALIZE_PIECE
    + r"""
extern "C" __global__ void batch_norm(const T* __restrict__ x, const T* __restrict__ shortcut,
                                      const double* moments, const A* weight, const A* bias,
                                      T* __restrict__ y, A* mean, A* variance, A* running_mean,
                                      A* running_variance, A momentum, A keep, A unbias, A eps,
                                      bool rectify, unsigned count, unsigned length,
                                      unsigned channel_step, unsigned step) {
    unsigned c = blockIdx.x;
    Pair own = join_moments(moments, gridDim.y, count, length);
    // Rounded as they are stored: whoever normalises again has no more digits than that.
    A own_mean = (A)own.first, own_variance = (A)own.second;
    A scale = scale_of(own_variance, eps, weight), shift = bias ? bias[c] : 0;
    normalize_piece(x, shortcut, y, own_mean, scale, shift, rectify, count, length, channel_step,
                    step);
    if (blockIdx.y == 0 && threadIdx.x == 0) {
        mean[c] = own_mean;
        variance[c] = own_variance;
        if (running_mean) {
            running_mean[c] = running_mean[c] * keep + own_mean * momentum;
            running_variance[c] = running_variance[c] * keep + own_variance * unbias * momentum;
        }
    }
}
""",
    plain=_batch_norm,
)

_PASSED = r"""
// The gradient that a ReLU with this output lets through; it lets a NaN pass.
__device__ A passed(const T* g, const T* output, unsigned i) {
    return output && (A)output[i] <= 0 ? (A)0 : (A)g[i];
}
"""


def _passed(g: Array, output: Array | None, count: int, step: int) -> Array:
    arriving = _channels(g, count, step)
    if output is None:
        return arriving
    return np.where(_channels(output, count, step) <= 0, arriving.dtype.type(0), arriving)


def _sum_gradients(
    g: Array,
    x: Array,
    output: Array | None,
    mean: Array,
    sums: Array,
    count: int,
    length: int,
    channel_step: int,
    step: int,
) -> None:
    through = _passed(g, output, count, step).astype("float64")
    centred = _channels(x, count, step).astype(mean.dtype) - mean[:, None]
    for p, start in enumerate(range(0, count, length)):
        piece = through[:, start : start + length]
        sums[:, p, 0] = piece.sum(1)
        sums[:, p, 1] = (piece * centred[:, start : start + length]).sum(1)


SUM_GRADIENTS = Kernel(
    _PAIR
    + _PASSED
    + r"""
extern "C" __global__ void sum_gradients(const T* g, const T* x, const T* output, const A* mean,
                                         double* sums, unsigned count, unsigned length,
                                         unsigned channel_step, unsigned step) {
    unsigned start = blockIdx.y * length, end = min(start + length, count);
    A centre = mean[blockIdx.x], sum = 0, product = 0;
    for (unsigned m = start + threadIdx.x; m < end; m += BLOCK) {
        unsigned i = blockIdx.x * channel_step + m * step;
        A through = passed(g, output, i);
        sum += through;
        product += through * ((A)x[i] - centre);
    }
    Pair found = block_sum(Pair{(double)sum, (double)product});
    if (threadIdx.x == 0) {
        double* own = sums + 2 * (blockIdx.x * gridDim.y + blockIdx.y);
        own[0] = found.first;
        own[1] = found.second;
    }
}
""",
    plain=_sum_gradients,
)


def _batch_norm_backward(
    g: Array,
    x: Array,
    output: Array | None,
    sums: Array,
    mean: Array,
    variance: Array,
    weight: Array | None,
    dx: Array,
    masked: Array | None,
    d_weight: Array,
    d_bias: Array,
    eps: float,
    constant: bool,
    count: int,
    length: int,
    channel_step: int,
    step: int,
) -> None:
    sum_g, sum_product = sums[:, :, 0].sum(1), sums[:, :, 1].sum(1)
    inverse_std = 1 / np.sqrt(variance + eps)
    d_bias[...], d_weight[...] = sum_g, sum_product * inverse_std
    through = _passed(g, output, count, step)
    if masked is not None:
        _channels(masked, count, step)[...] = through
    scale = inverse_std if weight is None else inverse_std * weight
    made = through.astype(mean.dtype)
    if not constant:
        slope = sum_product * inverse_std * inverse_std / count
        centred = _channels(x, count, step).astype(mean.dtype) - mean[:, None]
        made = made - (sum_g / count)[:, None] - centred * slope[:, None]
    _channels(dx, count, step)[...] = made * scale[:, None]


BATCH_NORM_BACKWARD = Kernel(
    _PAIR
    + _PASSED
    + r"""
extern "C" __global__ void batch_norm_backward(const T* __restrict__ g, const T* __restrict__ x,
                                               const T* __restrict__ output, const double* sums,
                                               const A* mean, const A* variance, const A* weight,
                                               T* __restrict__ dx, T* __restrict__ masked,
                                               A* d_weight, A* d_bias, A eps, bool constant,
                                               unsigned count, unsigned length,
                                               unsigned channel_step, unsigned step) {
    unsigned c = blockIdx.x, pieces = gridDim.y;
    const double* own = sums + 2 * pieces * c;
    Pair mine = {0, 0};
    for (unsigned p = threadIdx.x; p < pieces; p += BLOCK)
        mine = mine + Pair{own[2 * p], own[2 * p + 1]};
    Pair total = block_sum(mine);

    A centre = mean[c], inverse_std = 1 / sqrt(variance[c] + eps);
    A scale = weight ? inverse_std * weight[c] : inverse_std;
    A level = (A)(total.first / count);
    A slope = (A)(total.second * inverse_std * inverse_std / count);
    unsigned start = blockIdx.y * length, end = min(start + length, count);
    for (unsigned m = start + threadIdx.x; m < end; m += BLOCK) {
        unsigned i = c * channel_step + m * step;
        A through = passed(g, output, i);
        if (masked) masked[i] = (T)through;
        if (!constant) through -= level + ((A)x[i] - centre) * slope;
        dx[i] = (T)(through * scale);
    }
    if (blockIdx.y == 0 && threadIdx.x == 0) {
        d_weight[c] = (A)(total.second * inverse_std);
        d_bias[c] = (A)total.first;
    }
}
""",
    plain=_batch_norm_backward,
)


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
        """Normalise a batch by its own statistics, in two kernels."""
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
        """(x - mean) / std * weight + bias, plus the shortcut; ReLU: in one kernel."""
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
        dx = weight / std * (g - S / M - (x - mean) / std^2 * P / M).
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
    if stored.char not in STORED or not 0 < x.size < TOO_LARGE:
        return False
    kept = stored, accumulator(stored)
    return all(a is None or a.dtype == stored for a in arrays) and all(
        v is None or v.dtype in kept for v in vectors
    )


def _can_be_moved(running: tuple[Array, Array], mean: Array) -> bool:
    """Tell whether a kernel can write into these running statistics."""
    return all(s.dtype == mean.dtype and s.flags.c_contiguous for s in running)
