"""Memory for large results, used again once nobody refers to it.

A training step needs the same buffers every time; fresh memory from the system costs a page fault
per 4 KiB. Each array made here is a view of a *lease*. NumPy keeps the lease alive as long as any
array, view, Tensor or `.numpy()` of it lives anywhere; when the last one is gone, and only then,
the lease itself dies and its memory goes to the free list.
"""

from __future__ import annotations

import math
import os
import threading
from typing import Any

import numpy as np

Array = Any

# Below this the system's allocator has its own free lists: they are quicker, and what they give
# was used a moment ago and still lies in the cache.
SMALLEST = 1 << 19
SLACK = 1 << 23


class _Lease:
    """One loan of a block of memory, told to NumPy by the array interface."""

    __slots__ = ("__array_interface__", "_block", "_pool")

    def __init__(self, pool: BufferPool, block: Array) -> None:
        self._pool = pool
        self._block = block
        self.__array_interface__ = block.__array_interface__

    def __del__(self) -> None:
        self._pool._take_back(self._block)


class BufferPool:
    """A bounded free list of blocks of memory, by size.

    What is lent and what lies free never exceed together what was once lent at the same time, but
    for `slack`: before new memory is asked for, free blocks of other sizes go back to the system.

    Parameters
    ----------
    slack : int
        Bytes. Without any, sizes that take turns would drive each other out.

    Attributes
    ----------
    lent, free : int
        Bytes in use, and bytes that wait to be used again.
    """

    def __init__(self, slack: int = SLACK) -> None:
        # A lease may die wherever the garbage collector runs, also inside of these very methods.
        self._lock = threading.RLock()
        self._blocks: dict[int, list[Array]] = {}
        self.lent = self.free = self._most = 0
        self._slack = slack

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return an uninitialised, C-contiguous array."""
        size = math.prod(shape) * dtype.itemsize
        if size < SMALLEST:
            return np.empty(shape, dtype)
        lease = _Lease(self, self._lend(size))
        return np.asarray(lease).view(dtype).reshape(shape)

    def clear(self) -> None:
        """Give all free blocks back to the system, and forget how much was once in use."""
        with self._lock:
            self._blocks.clear()
            self.free, self._most = 0, self.lent

    def _lend(self, size: int) -> Array:
        with self._lock:
            blocks = self._blocks.get(size)
            block = blocks.pop() if blocks else None
            if block is None:
                self._make_room(size)
                block = np.empty(size, np.uint8)
            else:
                self.free -= size
            self.lent += size
            self._most = max(self._most, self.lent)
        return block

    def _take_back(self, block: Array) -> None:
        with self._lock:
            self._blocks.setdefault(block.size, []).append(block)
            self.lent -= block.size
            self.free += block.size

    def _make_room(self, wanted: int) -> None:
        """Let go of free blocks, the sizes longest known first, until the bound allows for more."""
        lent = self.lent + wanted
        bound = max(self._most, lent) + self._slack
        for size in list(self._blocks):
            blocks = self._blocks[size]
            while blocks and lent + self.free > bound:
                blocks.pop()
                self.free -= size
            if not blocks:
                del self._blocks[size]

    def after_fork(self) -> None:
        """Take a new lock in a forked child: whoever had the old one does not live there."""
        self._lock = threading.RLock()


pool = BufferPool()
empty = pool.empty

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pool.after_fork)
