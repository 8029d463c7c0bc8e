"""Cross-entropy on a GPU: one kernel forward, one backward.

A row belongs to a group of threads, as many as it has classes if they are few: a block then takes
several rows. Letters: N rows, C classes. Logits, losses and gradients are in T (float16, float32 or
float64), labels int64, weights in the accumulator of T.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import accumulator
from ..losses import LossKernels
from .blocks import GROUP_SUM
from .kernel import Kernel
from .launching import Launching
from .layout import is_ordinary

Array = Any

_BLOCK = 256

_SOFTMAX = (
    GROUP_SUM
    + r"""
// Added up, they leave the larger. A NaN is lost here, and found again in the sum of powers.
struct Largest { A value; };

__device__ Largest operator+(Largest a, Largest b) { return {max(a.value, b.value)}; }

__device__ A infinity() { return -log((A)0); }  // NVRTC knows it by no name

// What a row's logits are divided by, as powers: beside a large `top` the rest would be lost.
struct Divisor { A top, rest; };

__device__ A log_p(A logit, Divisor by) { return logit - by.top - by.rest; }

__device__ Divisor divisor_of(const T* logits, unsigned classes, unsigned width) {
    unsigned lane = threadIdx.x % width;
    A top = -infinity(), sum = 0;
    for (unsigned c = lane; c < classes; c += width) top = max(top, (A)logits[c]);
    top = group_sum(Largest{top}, width).value;
    for (unsigned c = lane; c < classes; c += width) sum += exp((A)logits[c] - top);
    return {top, log(group_sum(sum, width))};
}
"""
)


def _log_softmax(logits: Array) -> Array:
    wide = logits.astype(accumulator(logits.dtype))
    shifted = wide - wide.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def _cross_entropy(
    logits: Array,
    labels: Array,
    weight: Array | None,
    losses: Array,
    rows: int,
    classes: int,
    width: int,
    ignored: int,
    sharp: float,
    smoothing: float,
) -> None:
    log_p = _log_softmax(logits)
    if weight is not None:
        log_p = log_p * weight
    known = (labels >= 0) & (labels < classes)
    loss = -sharp * log_p[np.arange(rows), np.where(known, labels, 0)]
    if smoothing:
        loss -= smoothing * log_p.mean(1)
    losses[...] = np.where(labels == ignored, 0, np.where(known, loss, np.nan))


CROSS_ENTROPY = Kernel(
    _SOFTMAX
    + r"""
extern "C" __global__ void cross_entropy(const T* logits, const long long* labels,
                                         const A* weight, T* losses, unsigned rows,
                                         unsigned classes, unsigned width, long long ignored,
                                         A sharp, A smoothing) {
    unsigned lane = threadIdx.x % width, row = (blockIdx.x * BLOCK + threadIdx.x) / width;
    // Threads past the last row sum with the others, over no classes.
    unsigned present = row < rows ? classes : 0;
    const T* own = logits + row * classes;
    Divisor divisor = divisor_of(own, present, width);
    A spread = 0;
    if (smoothing > 0) {
        for (unsigned c = lane; c < present; c += width)
            spread += log_p((A)own[c], divisor) * (weight ? weight[c] : (A)1);
        spread = group_sum(spread, width) / classes;
    }
    if (lane == 0 && row < rows) {
        long long label = labels[row];
        A loss = infinity() - infinity();
        if (label >= 0 && label < classes) {
            loss = -sharp * log_p((A)own[label], divisor) * (weight ? weight[label] : (A)1);
            if (smoothing > 0) loss -= smoothing * spread;
        }
        losses[row] = (T)(label == ignored ? (A)0 : loss);
    }
}
""",
    plain=_cross_entropy,
    block=_BLOCK,
)


def _cross_entropy_backward(
    g: Array,
    logits: Array,
    labels: Array,
    weight: Array | None,
    d_logits: Array,
    rows: int,
    classes: int,
    width: int,
    g_step: int,
    ignored: int,
    hit: float,
    missed: float,
) -> None:
    p = np.exp(_log_softmax(logits))
    target = np.where(labels[:, None] == np.arange(classes), hit, missed).astype(p.dtype)
    if weight is not None:
        target = target * weight
        p = p * target.sum(1, keepdims=True)
    counted = np.where(labels == ignored, 0, g)  # a single g is that of all rows
    d_logits[...] = (p - target) * counted[:, None]


CROSS_ENTROPY_BACKWARD = Kernel(
    _SOFTMAX
    + r"""
extern "C" __global__ void cross_entropy_backward(const T* g, const T* logits,
                                                  const long long* labels, const A* weight,
                                                  T* d_logits, unsigned rows, unsigned classes,
                                                  unsigned width, unsigned g_step,
                                                  long long ignored, A hit, A missed) {
    unsigned lane = threadIdx.x % width, row = (blockIdx.x * BLOCK + threadIdx.x) / width;
    // Threads past the last row sum with the others, over no classes.
    unsigned present = row < rows ? classes : 0;
    const T* own = logits + row * classes;
    long long label = present ? labels[row] : 0;
    Divisor divisor = divisor_of(own, present, width);
    A whole = 1;
    if (weight) {
        A sum = 0;
        for (unsigned c = lane; c < present; c += width)
            sum += (c == label ? hit : missed) * weight[c];
        whole = group_sum(sum, width);
    }
    A counted = present && label != ignored ? (A)g[row * g_step] : 0;
    for (unsigned c = lane; c < present; c += width) {
        A target = (c == label ? hit : missed) * (weight ? weight[c] : (A)1);
        A p = exp(log_p((A)own[c], divisor));
        d_logits[row * classes + c] = (T)((p * whole - target) * counted);
    }
}
""",
    plain=_cross_entropy_backward,
    block=_BLOCK,
)


class CudaLosses(Launching, LossKernels):
    """Cross-entropy on a GPU."""

    def cross_entropy(
        self,
        logits: Array,
        labels: Array,
        ignore_index: int,
        smoothing: float,
        weight: Array | None = None,
    ) -> Array:
        """Loss of each row of logits (N, C), as (N,), in one kernel."""
        if not _fits(logits, weight):
            return super().cross_entropy(logits, labels, ignore_index, smoothing, weight)
        losses = self.xp.empty(logits.shape[0], logits.dtype)
        grid, where = _cut(logits)
        given = (*self._dense(logits, labels, weight), losses, *where)
        numbers = ignore_index, 1 - smoothing, smoothing
        self.launch(CROSS_ENTROPY, grid, *given, *numbers, T=logits.dtype)
        return losses

    def cross_entropy_backward(
        self,
        g: Array,
        logits: Array,
        labels: Array,
        ignore_index: int,
        smoothing: float,
        weight: Array | None = None,
    ) -> Array:
        """Gradient of `cross_entropy` in the logits, in one kernel."""
        if not _fits(logits, weight) or g.dtype != logits.dtype:
            given = (g, logits, labels, ignore_index, smoothing, weight)
            return super().cross_entropy_backward(*given)
        d_logits = self.xp.empty(logits.shape, logits.dtype)
        # The gradient of a mean is one number for all rows, and need not be written out.
        step = 0 if g.strides == (0,) else 1
        own = self.xp.ascontiguousarray(g) if step else g[:1]
        grid, where = _cut(logits)
        missed = smoothing / logits.shape[1]
        given = (own, *self._dense(logits, labels, weight), d_logits, *where, step)
        numbers = ignore_index, 1 - smoothing + missed, missed
        self.launch(CROSS_ENTROPY_BACKWARD, grid, *given, *numbers, T=logits.dtype)
        return d_logits

    def _dense(self, logits: Array, labels: Array, weight: Array | None) -> tuple[Array, ...]:
        """Return what the kernels read, in the dtypes that they know."""
        dense = self.xp.ascontiguousarray
        wide = None if weight is None else dense(weight, accumulator(logits.dtype))
        return dense(logits), dense(labels, "int64"), wide


def _cut(logits: Array) -> tuple[int, tuple[int, int, int]]:
    """Return the grid, and the numbers of rows, of classes, and of threads for a row."""
    rows, classes = logits.shape
    width = min(_BLOCK, 1 << (classes - 1).bit_length())
    return -(-rows * width // _BLOCK), (rows, classes, width)


def _fits(logits: Array, weight: Array | None) -> bool:
    """Tell whether the kernels can do this; the readable ones do what is empty, huge or mixed."""
    if not is_ordinary(logits):
        return False
    return weight is None or weight.dtype in (logits.dtype, accumulator(logits.dtype))
