"""SGD and Adam, many parameters in one launch.

A kernel gets the addresses and sizes of many parameters as one structure by value, so that nothing
is copied to the GPU first. What changes from step to step (the learning rate, Adam's count
of steps) it reads from the GPU's memory, so that a captured graph does not freeze it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..updates import UpdateKernels
from .kernel import Kernel
from .launching import TOO_LARGE, Array, Launching

# How many parameters fit into the 4096 bytes of arguments that CUDA takes.
SGD_MANY, ADAM_MANY = 120, 80
# Elements per block: a tensor's pieces are spread over blocks, and small tensors share a launch.
PIECE = 1024


def _table(many: int, *pointers: str) -> np.dtype[Any]:
    """Return the dtype of a structure of addresses and sizes, each for so many parameters."""
    fields: list[Any] = [(name, np.uint64, many) for name in pointers]
    fields += [("size", np.uint32, many), ("first", np.uint32, many)]
    # The kernel knows T; its plain version reads here how many bytes one element has.
    return np.dtype([*fields, ("tensors", np.int32), ("itemsize", np.int32)])


def _at(address: Any, size: Any, dtype: Any) -> Array:
    """Return the array of the host's memory at an address."""
    count = int(size) * np.dtype(dtype).itemsize
    memory = (ctypes.c_uint8 * count).from_address(int(address))
    return np.ndarray(int(size), dtype, memory)


def _rows(table: Array, *names: str) -> Iterator[tuple[Array, ...]]:
    """Return, tensor by tensor, the arrays that a table on the host points to."""
    table = table.reshape(())
    dtype = f"f{table['itemsize']}"
    for i in range(int(table["tensors"])):
        yield tuple([_at(table[name][i], table["size"][i], dtype) for name in names])


# A block finds the tensor in which its piece lies, by the number of the tensor's first block.
_FIND = """
    unsigned low = 0, high = table.tensors - 1;
    while (low < high) {
        unsigned middle = (low + high + 1) / 2;
        if (table.first[middle] <= blockIdx.x) low = middle;
        else high = middle - 1;
    }
    unsigned start = (blockIdx.x - table.first[low]) * PIECE;
    unsigned end = min(start + PIECE, table.size[low]);
"""


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
    for p, g, *velocity in _rows(table, *names):
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
{_FIND}
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
    types={"Table": _table(SGD_MANY, "p", "g", "v")},
)


def _adam_count_plain(table: Array, rate: Array, shares: Array, beta1: float, beta2: float) -> None:
    table = table.reshape(())
    for i in range(int(table["tensors"])):
        step = _at(table["step"][i], 1, np.int32)
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
    types={"Table": _table(ADAM_MANY, "p", "g", "m", "v", "step")},
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
    for i, (p, g, m, v) in enumerate(_rows(table, "p", "g", "m", "v")):
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
{_FIND}
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
    types={"Table": _table(ADAM_MANY, "p", "g", "m", "v", "step")},
)


class CudaUpdates(Launching, UpdateKernels):
    """What optimisers do, on a GPU."""

    def can_fuse(self, data: Array, grad: Array, *remembered: Array) -> bool:
        """Tell whether the fused kernels can update a parameter: they walk through bare memory.

        Parameters
        ----------
        data, grad : array
            The parameter and its gradient.
        *remembered : array
            Of the same shape: what the optimiser keeps of the parameter.
        """
        dtype, order = data.dtype, _steps(data)
        return (
            dtype.kind == "f"
            and dtype == grad.dtype
            and data.size < TOO_LARGE
            and _is_dense(data)
            and all(
                isinstance(x, self.xp.ndarray) and x.dtype == dtype and _steps(x) == order
                for x in remembered
            )
        )

    def fused_sgd(
        self,
        params: Sequence[Array],
        grads: Sequence[Array],
        velocities: Sequence[Array],
        fresh: bool,
        rate: Array,
        momentum: float,
        dampening: float,
        weight_decay: float,
        nesterov: bool,
    ) -> None:
        """Do what `minires.optim.SGD` does, to all parameters at once.

        Parameters
        ----------
        params : sequence of array
            Without gaps in their memory (`can_fuse`), of one dtype; written in place.
        grads : sequence of array
            Of the same shapes and dtype.
        velocities : sequence of array
            Of the same shapes, dtype and memory order; written in place. Empty without momentum.
        fresh : bool
            Whether this is the velocities' first step, so that they hold nothing yet.
        rate : array, (1,), float64
            The learning rate.
        momentum, dampening, weight_decay : float
        nesterov : bool
        """
        dtype = params[0].dtype
        numbers = momentum, 1 - dampening, weight_decay, nesterov, fresh
        columns = {"p": params, "g": grads, "v": velocities}
        for table, blocks, _alive in _tables(self.xp, SGD, columns):
            self.launch(SGD, blocks, table, rate, *numbers, T=dtype)

    def fused_adam(
        self,
        params: Sequence[Array],
        grads: Sequence[Array],
        means: Sequence[Array],
        squares: Sequence[Array],
        steps: Sequence[Array],
        rate: Array,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        decoupled: bool,
    ) -> None:
        """Do what `minires.optim.Adam` and `AdamW` do, to all parameters at once.

        Parameters
        ----------
        params : sequence of array
            Without gaps in their memory (`can_fuse`), of one dtype; written in place.
        grads : sequence of array
            Of the same shapes and dtype.
        means, squares : sequence of array
            The running averages: of the same shapes, dtype and memory order; written in place.
        steps : sequence of array, (), int32
            How many steps each parameter has taken; counted up.
        rate : array, (1,), float64
            The learning rate.
        betas : (float, float)
        eps, weight_decay : float
        decoupled : bool
            Whether the weight decay is AdamW's.
        """
        dtype = params[0].dtype
        beta1, beta2 = betas
        numbers = 1 - beta1, beta2, 1 - beta2, eps, weight_decay, decoupled
        columns = {"p": params, "g": grads, "m": means, "v": squares, "step": steps}
        for table, blocks, _alive in _tables(self.xp, ADAM, columns):
            shares = self.xp.empty(2 * ADAM_MANY, np.float64)
            self.launch(ADAM_COUNT, 1, table, rate, shares, beta1, beta2, T=dtype)
            self.launch(ADAM, blocks, table, rate, shares, *numbers, T=dtype)


def _tables(
    xp: Any, kernel: Kernel, columns: dict[str, Sequence[Array]]
) -> Iterator[tuple[Array, int, Any]]:
    """Cut lists of arrays into tables; with each, how many blocks, and copies to be kept alive.

    A gradient may lie in another memory order than its parameter, and is copied then.
    """
    params = columns["p"]
    grads = [_ordered_as(xp, g, p) for g, p in zip(columns["g"], params, strict=True)]
    columns = {**columns, "g": grads}
    many = kernel.types["Table"]["size"].shape[0]
    for start in range(0, len(params), many):
        some = range(start, min(start + many, len(params)))
        table = np.zeros((), kernel.types["Table"])
        for name, arrays in columns.items():
            if arrays:
                table[name][: len(some)] = [arrays[i].data.ptr for i in some]
        sizes = np.array([params[i].size for i in some])
        ends = np.cumsum(-(-sizes // PIECE))
        table["size"][: len(some)] = sizes
        table["first"][1 : len(some)] = ends[:-1]
        table["tensors"], table["itemsize"] = len(some), params[0].itemsize
        yield table, int(ends[-1]), grads


def _ordered_as(xp: Any, grad: Array, data: Array) -> Array:
    """Return the gradient in the memory order of its parameter."""
    if data.size == 0 or _steps(grad) == _steps(data):
        return grad
    copy = xp.empty_like(data)
    copy[...] = grad
    return copy


def _steps(x: Array) -> list[int]:
    """Return the strides that matter: those of axes with more than one element."""
    return [stride for n, stride in zip(x.shape, x.strides, strict=True) if n > 1]


def _is_dense(x: Array) -> bool:
    """Tell whether an array's elements fill its memory, in whatever order of axes."""
    expected = x.itemsize
    for stride, n in sorted(zip(x.strides, x.shape, strict=True)):
        if n == 1:
            continue
        if stride != expected:
            return False
        expected *= n
    return True
