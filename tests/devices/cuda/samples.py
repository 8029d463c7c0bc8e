"""Small kernels, and wrong ones, on which the tests of the tests are tried."""

from __future__ import annotations

import numpy as np

from minires.devices.cuda.kernel import Kernel


def scale_plain(x, y, count, factor):
    y.reshape(-1)[...] = x.reshape(-1) * factor


SCALE = Kernel(
    r"""
extern "C" __global__ void scale(const T* x, T* y, int count, A factor) {
    int i = blockIdx.x * BLOCK + threadIdx.x;
    if (i < count) y[i] = (T)((A)x[i] * factor);
}
""",
    plain=scale_plain,
    block=32,
)


def total_plain(x, y, count):
    sums = np.zeros((len(y), TOTAL.block), x.dtype)
    for i in range(count):
        sums[:, i % TOTAL.block] += x[:, i]
    while sums.shape[1] > 1:
        sums = sums[:, : sums.shape[1] // 2] + sums[:, sums.shape[1] // 2 :]
    y[...] = sums[:, 0]


TOTAL = Kernel(
    r"""
extern "C" __global__ void total(const T* x, T* y, int count) {
    __shared__ A sums[BLOCK];
    int t = threadIdx.x;
    const T* row = x + blockIdx.x * count;
    A sum = 0;
    for (int i = t; i < count; i += BLOCK) sum += (A)row[i];
    sums[t] = sum;
    __syncthreads();
    for (int half_way = BLOCK / 2; half_way > 0; half_way /= 2) {
        if (t < half_way) sums[t] += sums[t + half_way];
        __syncthreads();
    }
    if (t == 0) y[blockIdx.x] = (T)sums[0];
}
""",
    plain=total_plain,
    block=16,
)

# Three mutants of a reduction, and what is wrong with them.
UNSYNCHRONISED = ("sums[t + half_way];\n        __syncthreads();", "sums[t + half_way];")
EVERYONE_WRITES = ("if (t == 0) y", "y")
SOME_WAIT = ("if (t < half_way) sums[t]", "if (t >= half_way) continue; else sums[t]")


def kernel(body: str, parameters: str = "T* y", head: str = "", **options) -> Kernel:
    """A kernel that is only run, and never read."""
    source = f'{head}\nextern "C" __global__ void trial({parameters}) {{\n{body}\n}}'
    return Kernel(source, lambda *args: None, **({"block": 4} | options))
