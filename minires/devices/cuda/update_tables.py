"""Tables of many parameters' addresses and sizes, handed to a kernel by value.

So nothing is copied to the GPU before the launch. CUDA takes 4096 bytes of arguments.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .kernel import Kernel
from .launching import Array

# Elements per block: a tensor's pieces are spread over blocks, and small tensors share a launch.
PIECE = 1024


def table_type(many: int, *pointers: str) -> np.dtype[Any]:
    """Return the dtype of a structure of addresses and sizes, each for so many parameters."""
    fields: list[Any] = [(name, np.uint64, many) for name in pointers]
    fields += [("size", np.uint32, many), ("first", np.uint32, many)]
    # The kernel knows T; its plain version reads here how many bytes one element has.
    return np.dtype([*fields, ("tensors", np.int32), ("itemsize", np.int32)])


def memory_at(address: Any, size: Any, dtype: Any) -> Array:
    """Return the array of the host's memory at an address."""
    count = int(size) * np.dtype(dtype).itemsize
    memory = (ctypes.c_uint8 * count).from_address(int(address))
    return np.ndarray(int(size), dtype, memory)


def rows_of(table: Array, *names: str) -> Iterator[tuple[Array, ...]]:
    """Return, tensor by tensor, the arrays that a table on the host points to."""
    table = table.reshape(())
    dtype = f"f{table['itemsize']}"
    for i in range(int(table["tensors"])):
        yield tuple([memory_at(table[name][i], table["size"][i], dtype) for name in names])


# A block finds the tensor in which its piece lies, by the number of the tensor's first block.
FIND = """
    unsigned low = 0, high = table.tensors - 1;
    while (low < high) {
        unsigned middle = (low + high + 1) / 2;
        if (table.first[middle] <= blockIdx.x) low = middle;
        else high = middle - 1;
    }
    unsigned start = (blockIdx.x - table.first[low]) * PIECE;
    unsigned end = min(start + PIECE, table.size[low]);
"""


def tables(
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
    if data.size == 0 or steps_of(grad) == steps_of(data):
        return grad
    copy = xp.empty_like(data)
    copy[...] = grad
    return copy


def steps_of(x: Array) -> list[int]:
    """Return the strides that matter: those of axes with more than one element."""
    return [stride for n, stride in zip(x.shape, x.strides, strict=True) if n > 1]


def is_dense(x: Array) -> bool:
    """Tell whether an array's elements fill its memory, in whatever order of axes."""
    expected = x.itemsize
    for stride, n in sorted(zip(x.strides, x.shape, strict=True)):
        if n == 1:
            continue
        if stride != expected:
            return False
        expected *= n
    return True
