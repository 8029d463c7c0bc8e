"""The device's memory: allocations with owners and pools, poisoned until somebody writes."""

from __future__ import annotations

import bisect
import ctypes
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

TOTAL = 8 << 30
POISON = 0xA5  # as an integer it is negative or large: an index made of it is out of range


class OutOfMemoryError(MemoryError):
    """A pool's limit is reached."""


# Where the allocations that live begin, in order; and each of them by that.
_starts: list[int] = []
_by_start: weakref.WeakValueDictionary[int, Memory] = weakref.WeakValueDictionary()


class Memory:
    """One allocation. It lives as long as an array or a pointer into it does.

    Weak references to it tell when a buffer died: `ndarray.mem` is the same for all views. What a
    pool hands out it cut from a `chunk`, which it keeps for the next array.
    """

    __slots__ = ("__weakref__", "chunk", "nbytes", "owner", "pool", "ptr")

    def __init__(self, owner: np.ndarray | int, pool: MemoryPool | None = None) -> None:
        self.pool = None
        self.chunk: weakref.ref[Memory] | None = None
        if isinstance(owner, int):
            owner = np.full(owner, POISON, np.uint8)
        self.owner = owner
        self.nbytes = owner.nbytes
        self.ptr: int = owner.__array_interface__["data"][0]
        if pool is not None:
            pool._take(self)
            self.pool = pool
        bisect.insort(_starts, self.ptr)
        _by_start[self.ptr] = self

    def __del__(self) -> None:
        position = bisect.bisect_left(_starts, self.ptr)
        if _starts[position : position + 1] == [self.ptr]:
            del _starts[position]
        if self.pool is not None:
            self.pool._give_back(self.nbytes)

    @property
    def size(self) -> int:
        return self.nbytes

    @property
    def buffer(self) -> np.ndarray:
        """The bytes, as the host sees them."""
        return np.frombuffer((ctypes.c_uint8 * self.nbytes).from_address(self.ptr), np.uint8)


def allocation(address: int) -> Memory | None:
    """Return the live allocation that an address points into; None if there is none."""
    position = bisect.bisect_right(_starts, address)
    memory = _by_start.get(_starts[position - 1]) if position else None
    return memory if memory is not None and address < memory.ptr + memory.nbytes else None


class MemoryPointer:
    """An address within an allocation."""

    def __init__(self, mem: Memory, offset: int) -> None:
        self.mem = mem
        self.offset = offset
        self.ptr = mem.ptr + offset
        self.device_id = 0

    def __add__(self, offset: int) -> MemoryPointer:
        return MemoryPointer(self.mem, self.offset + offset)

    def __int__(self) -> int:
        return self.ptr


class MemoryPool:
    """Counts what is in use, and keeps what its allocator gave until `free_all_blocks`."""

    def __init__(self, allocator: Any = None) -> None:
        self._allocator = allocator
        self._blocks: list[tuple[weakref.ref[Memory], Memory]] = []
        self._used = 0
        self._most = 0
        self._limit = 0

    def malloc(self, size: int) -> MemoryPointer:
        return MemoryPointer(Memory(size, self), 0)

    def _take(self, memory: Memory) -> None:
        nbytes = memory.nbytes
        if self._limit and self._used + nbytes > self._limit:
            raise OutOfMemoryError(
                f"Out of memory allocating {nbytes} bytes (allocated so far: {self._used} bytes,"
                f" limit set to: {self._limit} bytes)."
            )
        self._used += nbytes
        self._most = max(self._most, self._used)
        if self._allocator is not None:
            chunk = self._allocator(nbytes).mem
            memory.chunk = weakref.ref(chunk)
            self._blocks.append((weakref.ref(memory), chunk))

    def _give_back(self, nbytes: int) -> None:
        self._used -= nbytes

    def used_bytes(self) -> int:
        return self._used

    def total_bytes(self) -> int:
        return self._most

    def free_bytes(self) -> int:
        return self._most - self._used

    def n_free_blocks(self) -> int:
        return int(self._most > self._used)

    def free_all_blocks(self, stream: Any = None) -> None:
        """Give back chunks that no array lives in; whoever else holds one keeps it alive."""
        self._most = self._used
        self._blocks = [pair for pair in self._blocks if pair[0]() is not None]

    def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
        self._limit = int(size or 0) if fraction is None else int(fraction * TOTAL)

    def get_limit(self) -> int:
        return self._limit


DEFAULT_POOL = MemoryPool()
_local = threading.local()


def current_allocator() -> Callable[[int], MemoryPointer]:
    """Return the allocator of the innermost `using_allocator` block."""
    return getattr(_local, "allocator", None) or _allocator


def set_allocator(allocator: Callable[[int], MemoryPointer] | None = None) -> None:
    """Set the allocator outside of all `using_allocator` blocks."""
    global _allocator
    _allocator = allocator or DEFAULT_POOL.malloc


@contextmanager
def using_allocator(allocator: Callable[[int], MemoryPointer] | None = None) -> Iterator[None]:
    """Allocate from `allocator` inside the block, in this thread."""
    before = getattr(_local, "allocator", None)
    _local.allocator = allocator or DEFAULT_POOL.malloc
    try:
        yield
    finally:
        _local.allocator = before


_allocator: Callable[[int], MemoryPointer] = DEFAULT_POOL.malloc


def allocate(shape: tuple[int, ...], dtype: Any, order: str = "C") -> tuple[np.ndarray, Memory]:
    """Return poisoned memory and the host's view of it: NaN in floats, a pattern elsewhere."""
    dtype = np.dtype(dtype)
    count = int(np.prod(shape, dtype=np.int64))
    pointer = current_allocator()(count * dtype.itemsize)
    host = np.ndarray(shape, dtype, pointer.mem.buffer, pointer.offset, order=order)
    if dtype.kind in "fc":
        host.fill(np.nan)
    elif dtype.kind == "b":
        host.fill(True)  # 0xA5 is no bool
    return host, pointer.mem


def adopt(host: np.ndarray) -> Memory:
    """Return the allocation that a fresh and dense result stands for."""
    pool = getattr(current_allocator(), "__self__", None)
    return Memory(host, pool if isinstance(pool, MemoryPool) else None)


class UnownedMemory(Memory):
    """Memory that somebody else allocated, at a known address."""

    __slots__ = ("device_id", "foreign")

    def __init__(self, ptr: int, size: int, owner: object, device_id: int = -1) -> None:
        bytes_ = (ctypes.c_uint8 * size).from_address(ptr)
        super().__init__(np.frombuffer(bytes_, np.uint8), None)
        self.foreign = owner
        self.device_id = device_id
