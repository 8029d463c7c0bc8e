"""The kernels of Adam, for many parameters: counting their steps, and updating them.

The rule is that of `minires.optim.Adam` (Kingma and Ba 2015, arXiv 1412.6980): with parameter p,
gradient g (plus weight_decay * p) and step number t,

m = beta1 * m + (1 - beta1) * g, v = beta2 * v + (1 - beta2) * g^2,
p = p - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps).

Decoupled (AdamW: Loshchilov and Hutter 2019, arXiv 1711.05101) p = p - lr * weight_decay * p comes
first, and g stays bare. The count t lies on the GPU, one for each parameter; `adam_count` makes
of it lr / (1 - beta1^t) and sqrt(1 - beta2^t) in float64, the two `shares` of `adam`, where `kept1`
and `kept2` are 1 - beta1 and 1 - beta2. Numbers are read from dtype T, computed with in its
accumulator A, and stored in T.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .kernel import Kernel
from .launching import Array
from .update_tables import FIND, PIECE, memory_at, rows_of, table_type

# How many parameters fit into the bytes of arguments.
ADAM_MANY = 80


def _adam_count_plain(table: Array, rate: Array, shares: Array, beta1: float, beta2: float) -> None:
    """Count a step of each parameter, and write its two shares.

    Parameters
    ----------
    table : array, (), the kernel's Table
        Addresses of the counts, each (), int32; written.
    rate : array, (1,), float64
        The learning rate.
    shares : array, (2 * ADAM_MANY,), float64
        Written.
    beta1, beta2 : float
    """
    table = table.reshape(())
    for i in range(int(table["tensors"])):
        step = memory_at(table["step"][i], 1, np.int32)
        step += 1
        shares[2 * i] = rate[0] / (1 - beta1 ** int(step[0]))
        shares[2 * i + 1] = (1 - beta2 ** int(step[0])) ** 0.5


_ADAM_TABLE = rf"""
struct Table {{
    T* p[{ADAM_MANY}];
    const T* g[{ADAM_MANY}];
    T* m[{ADAM_MANY}];
    T* v[{ADAM_MANY}];
    int* step[{ADAM_MANY}];
    unsigned size[{ADAM_MANY}];
    unsigned first[{ADAM_MANY}];
    int tensors;
    int itemsize;
}};
"""

ADAM_COUNT = Kernel(
    rf"""
{_ADAM_TABLE}
extern "C" __global__ void adam_count(
    const Table table, const double* rate, double* shares, double beta1, double beta2
) {{
    int i = threadIdx.x;
    if (i >= table.tensors) return;
    int step = table.step[i][0] + 1;
    table.step[i][0] = step;
    shares[2 * i] = rate[0] / (1 - pow(beta1, (double)step));
    shares[2 * i + 1] = sqrt(1 - pow(beta2, (double)step));
}}
""",
    plain=_adam_count_plain,
    block=128,
    types={"Table": table_type(ADAM_MANY, "p", "g", "m", "v", "step")},
)


def _adam_plain(
    table: Array,
    rate: Array,
    shares: Array,
    kept1: Any,
    beta2: Any,
    kept2: Any,
    eps: Any,
    decay: float,
    decoupled: bool,
) -> None:
    """Update every p, m and v of the table.

    Parameters
    ----------
    table : array, (), the kernel's Table
        Addresses of arrays p, g, m, v in T, and their sizes.
    rate : array, (1,), float64
        The learning rate.
    shares : array, (2 * ADAM_MANY,), float64
        Of `adam_count`.
    kept1, beta2, kept2, eps : A
    decay : float
    decoupled : bool
    """
    for i, (p, g, m, v) in enumerate(rows_of(table, "p", "g", "m", "v")):
        wide = np.float64 if p.dtype == np.float64 else np.float32
        value, slope, mean, square = (x.astype(wide) for x in (p, g, m, v))
        if decoupled:
            value = value * wide(1 - rate[0] * decay)
        elif decay:
            slope = slope + wide(decay) * value
        mean = mean + kept1 * (slope - mean)
        square = square * beta2 + kept2 * (slope * slope)
        scale = np.sqrt(square) / wide(shares[2 * i + 1]) + eps
        m[...], v[...] = mean, square
        p[...] = value - wide(shares[2 * i]) * (mean / scale)


ADAM = Kernel(
    rf"""
#define PIECE {PIECE}u
{_ADAM_TABLE}
extern "C" __global__ void adam(
    const Table table, const double* rate, const double* shares,
    A kept1, A beta2, A kept2, A eps, double decay, bool decoupled
) {{
{FIND}
    A lr = (A)shares[2 * low];
    A root = (A)shares[2 * low + 1];
    A shrink = decoupled ? (A)(1 - rate[0] * decay) : (A)1;
    A penalty = decoupled ? (A)0 : (A)decay;
    for (unsigned i = start + threadIdx.x; i < end; i += BLOCK) {{
        A value = (A)table.p[low][i] * shrink;
        A slope = (A)table.g[low][i];
        if (penalty != 0) slope = slope + penalty * value;
        A mean = (A)table.m[low][i];
        mean = mean + kept1 * (slope - mean);
        A square = (A)table.v[low][i] * beta2 + kept2 * (slope * slope);
        table.m[low][i] = (T)mean;
        table.v[low][i] = (T)square;
        table.p[low][i] = (T)(value - lr * (mean / (sqrt(square) / root + eps)));
    }}
}}
""",
    plain=_adam_plain,
    types={"Table": table_type(ADAM_MANY, "p", "g", "m", "v", "step")},
)
