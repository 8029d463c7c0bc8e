"""The kernels of normalisation's gradients: sums over channels, then dx; letters: `moments`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .kernel import Kernel
from .moments import PAIR, channels

Array = Any

_PASSED = r"""
// The gradient that a ReLU with this output lets through; it lets a NaN pass.
__device__ A passed(const T* g, const T* output, unsigned i) {
    return output && (A)output[i] <= 0 ? (A)0 : (A)g[i];
}
"""


def _passed(g: Array, output: Array | None, count: int, step: int) -> Array:
    """Return as (C, M) the gradient that a ReLU with this output, if any, lets through."""
    arriving = channels(g, count, step)
    if output is None:
        return arriving
    return np.where(channels(output, count, step) <= 0, arriving.dtype.type(0), arriving)


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
    """Write the sums over each channel's pieces of g, and of g * (x - mean).

    Parameters
    ----------
    g, x, output : array, (C, N, *spatial) or (N, C), T
    mean : array, (C,), A
    sums : array, (C, pieces, 2), float64
        Written.
    """
    through = _passed(g, output, count, step).astype("float64")
    centred = channels(x, count, step).astype(mean.dtype) - mean[:, None]
    for p, start in enumerate(range(0, count, length)):
        piece = through[:, start : start + length]
        sums[:, p, 0] = piece.sum(1)
        sums[:, p, 1] = (piece * centred[:, start : start + length]).sum(1)


SUM_GRADIENTS = Kernel(
    PAIR
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
    """Join the sums, and write dx and what goes to shortcut, weight and bias.

    Parameters
    ----------
    g, x, output, dx, masked : array, (C, N, *spatial) or (N, C), T
        dx and masked, the gradient that the ReLU let through, are written.
    sums : array, (C, pieces, 2), float64
        Of `sum_gradients`.
    mean, variance, weight : array, (C,), A
    d_weight, d_bias : array, (C,), A
        Written.
    constant : bool
        Whether mean and variance do not depend on x, as in evaluation.
    """
    sum_g, sum_product = sums[:, :, 0].sum(1), sums[:, :, 1].sum(1)
    inverse_std = 1 / np.sqrt(variance + eps)
    d_bias[...], d_weight[...] = sum_g, sum_product * inverse_std
    through = _passed(g, output, count, step)
    if masked is not None:
        channels(masked, count, step)[...] = through
    scale = inverse_std if weight is None else inverse_std * weight
    made = through.astype(mean.dtype)
    if not constant:
        slope = sum_product * inverse_std * inverse_std / count
        centred = channels(x, count, step).astype(mean.dtype) - mean[:, None]
        made = made - (sum_g / count)[:, None] - centred * slope[:, None]
    channels(dx, count, step)[...] = made * scale[:, None]


BATCH_NORM_BACKWARD = Kernel(
    PAIR
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
