"""The kernels that find a batch's statistics, piece by piece, and what joins the pieces.

Letters: C channels of M values each; element m of channel c lies at
``c * channel_step + m * step``, so that images (C, N, *spatial) and matrices (N, C) are one case.

Every kernel of batch normalisation is told by `count`, `length`, `channel_step` and `step` where
the elements are: M, how many of them a piece has, and the two steps. Its grid is (C, pieces). What
pieces found, `moments` and `sums`, is (C, pieces, 2) in float64; vectors (C,) are in the
accumulator of the stored dtype T.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .blocks import GROUP_SUM
from .kernel import Kernel

Array = Any

PAIR = (
    r"""
struct Pair { double first, second; };

__device__ Pair operator+(Pair a, Pair b) { return {a.first + b.first, a.second + b.second}; }
"""
    + GROUP_SUM
)

# Moments of the pieces joined as by Chan, Golub and LeVeque (1979): each contributes its own
# squares, and those of its mean's distance from the mean of all.
JOIN_MOMENTS = r"""
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


def channels(a: Array, count: int, step: int) -> Array:
    """View an array's memory, (C, N, *spatial) or (N, C), as (C, M)."""
    return a.reshape(-1, count) if step == 1 else a.reshape(count, -1).T


def _find_moments(
    x: Array, moments: Array, count: int, length: int, channel_step: int, step: int
) -> None:
    """Write the mean of each channel's pieces, and the sum of squared distances from it.

    Parameters
    ----------
    x : array, (C, N, *spatial) or (N, C), T
    moments : array, (C, pieces, 2), float64
        Written.
    """
    values = channels(x, count, step).astype("float64")
    for p, start in enumerate(range(0, count, length)):
        piece = values[:, start : start + length]
        mean = piece.mean(1)
        moments[:, p, 0] = mean
        moments[:, p, 1] = np.square(piece - mean[:, None]).sum(1)


# The second look finds the piece in the cache. It takes away the rounding of the first mean, too.
FIND_MOMENTS = Kernel(
    PAIR
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


def joined(moments: Array, count: int, length: int) -> tuple[Array, Array]:
    """Mean and (biased) variance of all channels, (C,), of moments (C, pieces, 2), in float64."""
    starts = length * np.arange(moments.shape[1])
    lengths = np.minimum(length, count - starts)
    mean = (lengths * moments[:, :, 0]).sum(1) / count
    away = moments[:, :, 0] - mean[:, None]
    return mean, (moments[:, :, 1] + lengths * away**2).sum(1) / count


def _tell_statistics(
    moments: Array, mean: Array, variance: Array, pieces: int, count: int, length: int
) -> None:
    """Write mean and variance, both (C,), of moments (C, pieces, 2)."""
    mean[...], variance[...] = joined(moments, count, length)


TELL_STATISTICS = Kernel(
    PAIR
    + JOIN_MOMENTS
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
