"""The kernels that normalise, by given statistics or by those of the batch; letters: `moments`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .kernel import Kernel
from .moments import JOIN_MOMENTS, PAIR, channels, joined

Array = Any

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
    """y = (x - mean) / sqrt(variance + eps) * weight + bias + shortcut, rectified if asked for.

    Parameters
    ----------
    x, shortcut, y : array, (C, N, *spatial) or (N, C), T
        y is written; all is computed in the accumulator A.
    mean, variance, weight, bias : array, (C,), A
    """
    values = channels(x, count, step).astype(mean.dtype)
    scale = 1 / np.sqrt(variance + eps)
    scale = scale if weight is None else scale * weight
    values = (values - mean[:, None]) * scale[:, None]
    if bias is not None:
        values += bias[:, None]
    if shortcut is not None:
        values += channels(shortcut, count, step)
    if rectify:
        values[values <= 0] = 0
    channels(y, count, step)[...] = values


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
    """Join the moments, move the running statistics, and normalise.

    Parameters
    ----------
    x, shortcut, y : array, (C, N, *spatial) or (N, C), T
        y is written.
    moments : array, (C, pieces, 2), float64
        Of `find_moments`.
    weight, bias : array, (C,), A
    mean, variance : array, (C,), A
        Written: those of the batch, the variance biased.
    running_mean, running_variance : array, (C,), A
        Moved in place: `keep` (1 - momentum) times what they are, plus `momentum` times the
        batch's, the variance times `unbias`, M / (M - 1).
    """
    mean[...], variance[...] = joined(moments, count, length)
    if running_mean is not None and running_variance is not None:
        running_mean[...] = running_mean * keep + mean * momentum
        running_variance[...] = running_variance * keep + variance * unbias * momentum
    given = (x, shortcut, mean, variance, weight, bias, y, eps, rectify)
    _normalize(*given, count, length, channel_step, step)


BATCH_NORM = Kernel(
    PAIR
    + JOIN_MOMENTS
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
