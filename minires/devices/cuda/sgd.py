"""The kernel of SGD, for many parameters in one launch.

The rule is that of `minires.optim.SGD`: with parameter p, gradient g and velocity v,

g' = g + weight_decay * p, v = momentum * v + (1 - dampening) * g' (at first v = g'),
p = p - lr * v; with Nesterov's momentum p = p - lr * (g' + momentum * v) (Sutskever et al. 2013,
in PyTorch's form); without momentum p = p - lr * g'.

In the kernel `decay` is weight_decay and `kept` is 1 - dampening; `step` is g', then what p moves
by. Numbers are read from dtype T, computed with in its accumulator A, and stored in T.
"""

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
    """Update every p of the table, and its v if there is momentum.

    Parameters
    ----------
    table : array, (), the kernel's Table
        Addresses of arrays p, g, v in T, and their sizes.
    rate : array, (1,), float64
        The learning rate.
    momentum, kept, decay : A
    nesterov, fresh : bool
        `fresh`: v holds nothing yet.
    """
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
