"""The kernel of SGD, for many parameters in one launch."""

from __future__ import annotations

from typing import Any

import numpy as np

from .kernel import Kernel
from .launching import Array
from .update_tables import FIND, PIECE, rows_of, table_type

# How many parameters fit into the bytes of arguments.
SGD_MANY = 120


def _sgd_plain(
    table: Array,
    rate: Array,
    momentum: Any,
    kept: Any,
    decay: Any,
    nesterov: bool,
    fresh: bool,
) -> None:
    names = ("p", "g", "v") if momentum else ("p", "g")
    for p, g, *velocity in rows_of(table, *names):
        wide = np.float64 if p.dtype == np.float64 else np.float32
        value, step = p.astype(wide), g.astype(wide)
        if decay:
            step = step + decay * value
        if velocity:
            (v,) = velocity
            moved = step if fresh else momentum * v.astype(wide) + kept * step
            v[...] = moved
            step = step + momentum * moved if nesterov else moved
        p[...] = value - wide(rate[0]) * step


SGD = Kernel(
    rf"""
#define PIECE {PIECE}u

struct Table {{
    T* p[{SGD_MANY}];
    const T* g[{SGD_MANY}];
    T* v[{SGD_MANY}];
    unsigned size[{SGD_MANY}];
    unsigned first[{SGD_MANY}];
    int tensors;
    int itemsize;
}};

extern "C" __global__ void sgd(
    const Table table, const double* rate, A momentum, A kept, A decay, bool nesterov, bool fresh
) {{
{FIND}
    A lr = (A)rate[0];
    for (unsigned i = start + threadIdx.x; i < end; i += BLOCK) {{
        A value = (A)table.p[low][i];
        A step = (A)table.g[low][i];
        if (decay != 0) step = step + decay * value;
        if (momentum != 0) {{
            A moved = fresh ? step : momentum * (A)table.v[low][i] + kept * step;
            table.v[low][i] = (T)moved;
            step = nesterov ? step + momentum * moved : moved;
        }}
        table.p[low][i] = (T)(value - lr * step);
    }}
}}
""",
    plain=_sgd_plain,
    types={"Table": table_type(SGD_MANY, "p", "g", "v")},
)
