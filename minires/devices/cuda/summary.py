"""The tracer's statistics on a GPU: all of an array in two kernels, and nothing copied.

Numbers are divided by the largest one before they are added or squared, so neither sum leaves the
range of float64, whatever the array holds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..summary import SUMMARY_FIELDS, SummaryKernels
from .blocks import GROUP_SUM, cut
from .kernel import Kernel
from .launching import Launching

Array = Any

# What is known of a piece: the counts, the extremes, and of its finite elements divided by the
# largest of them the mean, and the sum of squared distances from it.
_KNOWN = 8

_EXTENT = r"""
// How many of each kind, and between which bounds the finite ones lie.
struct Extent { double nan, inf, zero, tiny, low, high; };

__device__ Extent operator+(Extent a, Extent b) {
    return {a.nan + b.nan, a.inf + b.inf, a.zero + b.zero, a.tiny + b.tiny, min(a.low, b.low),
            max(a.high, b.high)};
}

__device__ Extent nothing() {
    const double infinity = -log(0.0);  // NVRTC knows it by no name
    return {0, 0, 0, 0, infinity, -infinity};
}

// The largest absolute value; 1 where there is none to divide by.
__device__ double size_of(double low, double high) {
    double largest = max(-low, high);
    return largest > 0 ? largest : 1;
}
"""


def _summarize_pieces(x: Array, known: Array, count: int, length: int, smallest: float) -> None:
    for row, start in zip(known, range(0, count, length), strict=True):
        piece = x.reshape(-1)[start : min(start + length, count)].astype("float64")
        finite = piece[np.isfinite(piece)]
        low, high = finite.min(initial=np.inf), finite.max(initial=-np.inf)
        scaled = finite / (max(-low, high) if max(-low, high) > 0 else 1)
        mean = scaled.sum() / max(finite.size, 1)
        row[...] = (
            np.isnan(piece).sum(),
            np.isinf(piece).sum(),
            (finite == 0).sum(),
            ((finite != 0) & (abs(finite) < smallest)).sum(),
            low,
            high,
            mean,
            ((scaled - mean) ** 2).sum(),
        )


_EXACT = r"""
// CuPy has float32 computed without numbers below the smallest normal one (-ftz=true): whatever
// touches them, and be it a conversion, takes them for 0. They are read from their bits instead.
template <class V> __device__ double exact(V value) { return (double)(A)value; }

__device__ double exact(float value) {
    union { float number; unsigned bits; } seen = {value};
    unsigned size = seen.bits & 0x7fffffffu;
    if (size >= 0x00800000u) return (double)value;
    double small = size * 0x1p-149;
    return seen.bits == size ? small : -small;
}
"""

# The second and third look at a piece find it in the cache.
SUMMARIZE_PIECES = Kernel(
    _EXTENT
    + _EXACT
    + GROUP_SUM
    + r"""
extern "C" __global__ void summarize_pieces(const T* x, double* known, long long count,
                                            long long length, double smallest) {
    long long start = blockIdx.x * length, end = min(start + length, count);
    Extent mine = nothing();
    for (long long i = start + threadIdx.x; i < end; i += BLOCK) {
        double v = exact((T)x[i]);
        if (isnan(v)) mine.nan += 1;
        else if (isinf(v)) mine.inf += 1;
        else mine = mine + Extent{0, 0, v == 0 ? 1.0 : 0.0,
                                  v != 0 && fabs(v) < smallest ? 1.0 : 0.0, v, v};
    }
    Extent all = block_sum(mine);
    double finite = (double)(end - start) - all.nan - all.inf;
    double size = size_of(all.low, all.high);

    double sum = 0;
    for (long long i = start + threadIdx.x; i < end; i += BLOCK) {
        double v = exact((T)x[i]);
        if (isfinite(v)) sum += v / size;
    }
    double mean = block_sum(sum) / max(finite, 1.0);

    double spread = 0;
    for (long long i = start + threadIdx.x; i < end; i += BLOCK) {
        double v = exact((T)x[i]);
        if (isfinite(v)) spread += (v / size - mean) * (v / size - mean);
    }
    spread = block_sum(spread);

    if (threadIdx.x == 0) {
        double* row = known + (long long)blockIdx.x * 8;
        row[0] = all.nan;
        row[1] = all.inf;
        row[2] = all.zero;
        row[3] = all.tiny;
        row[4] = all.low;
        row[5] = all.high;
        row[6] = mean;
        row[7] = spread;
    }
}
""",
    plain=_summarize_pieces,
)


def _join_summaries(known: Array, summary: Array, pieces: int, count: int, length: int) -> None:
    rows = known[:pieces]
    nan, inf, zero, tiny = rows[:, :4].sum(0)
    low, high = rows[:, 4].min(initial=np.inf), rows[:, 5].max(initial=-np.inf)
    largest = max(0.0, -low, high)
    size = largest or 1.0
    lengths = np.minimum(length, count - length * np.arange(pieces))
    finite = lengths - rows[:, 0] - rows[:, 1]
    # Everything in units of the largest of all, no longer of the piece's own.
    own = np.maximum(-rows[:, 4], rows[:, 5])
    ratio = np.where(own > 0, own, 1) / size
    means, spreads = rows[:, 6] * ratio, rows[:, 7] * ratio**2
    total = finite.sum()
    mean = (finite * means).sum() / max(total, 1)
    spread = (spreads + finite * (means - mean) ** 2).sum()
    square = spread + total * mean**2
    with np.errstate(over="ignore"):
        summary[...] = (
            *(nan, inf, zero, tiny, low, high),
            *(mean * total * size, square, largest, spread),
        )


JOIN_SUMMARIES = Kernel(
    _EXTENT
    + GROUP_SUM
    + r"""
extern "C" __global__ void join_summaries(const double* known, double* summary, int pieces,
                                          long long count, long long length) {
    Extent mine = nothing();
    for (int p = threadIdx.x; p < pieces; p += BLOCK) {
        const double* row = known + (long long)p * 8;
        mine = mine + Extent{row[0], row[1], row[2], row[3], row[4], row[5]};
    }
    Extent all = block_sum(mine);
    double finite = (double)count - all.nan - all.inf, size = size_of(all.low, all.high);

    // From here on everything in units of the largest of all, no longer of the piece's own.
    double sum = 0;
    for (int p = threadIdx.x; p < pieces; p += BLOCK) {
        const double* row = known + (long long)p * 8;
        double within = (double)min(length, count - p * length) - row[0] - row[1];
        sum += within * row[6] * (size_of(row[4], row[5]) / size);
    }
    double mean = block_sum(sum) / max(finite, 1.0);

    double spread = 0;
    for (int p = threadIdx.x; p < pieces; p += BLOCK) {
        const double* row = known + (long long)p * 8;
        double within = (double)min(length, count - p * length) - row[0] - row[1];
        double ratio = size_of(row[4], row[5]) / size, away = row[6] * ratio - mean;
        spread += row[7] * ratio * ratio + within * away * away;
    }
    spread = block_sum(spread);

    if (threadIdx.x == 0) {
        summary[0] = all.nan;
        summary[1] = all.inf;
        summary[2] = all.zero;
        summary[3] = all.tiny;
        summary[4] = all.low;
        summary[5] = all.high;
        summary[6] = mean * finite * size;
        summary[7] = spread + finite * mean * mean;
        summary[8] = max(max(-all.low, all.high), 0.0);
        summary[9] = spread;
    }
}
""",
    plain=_join_summaries,
)


class CudaSummary(Launching, SummaryKernels):
    """The tracer's statistics on a GPU."""

    def summarize(self, array: Array) -> Array:
        """Return statistics of all elements, as an array that stays on the device.

        Parameters
        ----------
        array : array
            Of any shape, memory order and dtype; other than floats are taken as float64.

        Returns
        -------
        array, (len(SUMMARY_FIELDS),), float64
            What `SUMMARY_FIELDS` names.
        """
        x = array if array.dtype.kind == "f" else array.astype("float64")
        x = _flat(x)
        smallest = float(self.xp.finfo(x.dtype).tiny)
        pieces, length = cut(x.size)
        known = self.xp.empty((pieces, _KNOWN))
        summary = self.xp.empty(len(SUMMARY_FIELDS))
        self.launch(SUMMARIZE_PIECES, pieces, x, known, x.size, length, smallest, T=x.dtype)
        self.launch(JOIN_SUMMARIES, 1, known, summary, pieces, x.size, length, T=known.dtype)
        return summary


def _flat(x: Array) -> Array:
    """Return all elements as one axis; a view where they fill their memory in any order."""
    axes = sorted(range(x.ndim), key=lambda axis: x.strides[axis], reverse=True)
    return x.transpose(axes).reshape(-1)
