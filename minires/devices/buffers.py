"""Memory for large results, used again once nobody refers to it.

A training step needs the same buffers every time; fresh memory from the system costs a page fault
per 4 KiB. Each array made here is a view of a *lease*. NumPy keeps the lease alive as long as any
array, view, Tensor or `.numpy()` of it lives anywhere; when the last one is gone, and only then,
the lease itself dies and its memory is free.
"""

from __future__ import annotations

import bisect
import contextlib
import itertools
import math
import mmap
import os
import threading
from collections import deque
from typing import Any, NamedTuple

import numpy as np

Array = Any

# Below this the system's allocator has its own free lists: they are quicker, and what they give
# was used a moment ago and still lies in the cache.
SMALLEST = 1 << 19
SLACK = 1 << 23
# Every piece starts at a multiple of so many bytes: a line of the processor's cache.
ALIGNMENT = 64
# Bytes from which on memory comes in huge pages, where there are some.
_HUGE = 1 << 22


class _Piece(NamedTuple):
    """Bytes of a segment, which is known by its number."""

    segment: int
    start: int
    stop: int


class _Lease:
    """One loan of a piece of memory, told to NumPy by the array interface."""

    __slots__ = ("__array_interface__", "_memory", "_piece", "_pool")

    def __init__(self, pool: BufferPool, piece: _Piece, memory: Array) -> None:
        self._pool, self._piece, self._memory = pool, piece, memory
        self.__array_interface__ = memory.__array_interface__

    def __del__(self) -> None:
        # The garbage collector may come here at any time, also while the pool is at work, and an
        # interrupt may have left the lease half made.
        with contextlib.suppress(AttributeError):
            self._pool._returned.append(self._piece)


class BufferPool:
    """A bounded store of memory: segments from the system, lent whole or in pieces.

    A request gets the piece of just its size that came back last, for that may still lie in the
    cache. Where there is none, free neighbours become one, and the smallest of them that holds the
    request is cut. Only where that does not help is the system asked for a segment, and free ones
    go back to it if there would be more memory, lent and free, than was once lent at the same time,
    plus `slack`. A segment of which a piece is still lent cannot go back: where small things of all
    ages stay alive, more is held than that.

    Parameters
    ----------
    slack : int
        Bytes. Without any, a segment that just went back would often be asked for again.

    Attributes
    ----------
    lent, free : int
        Bytes in use, and bytes that wait to be used again.
    """

    def __init__(self, slack: int = SLACK) -> None:
        self._slack = slack
        self._serials = itertools.count()
        self._lock = threading.RLock()
        self._begin()

    def _begin(self) -> None:
        """Begin with nothing; what is lent at this moment will not come back to the pool."""
        self._busy = False
        self._segments: dict[int, Array] = {}
        # Free pieces: those that came back, by length, the last one last; and those made one with
        # their neighbours, in the order of their lengths and by where they start and end.
        self._recent: dict[int, list[_Piece]] = {}
        self._lengths: list[tuple[int, int, int]] = []  # (length, segment, start), sorted
        self._starting: dict[tuple[int, int], int] = {}
        self._ending: dict[tuple[int, int], int] = {}
        self._returned: deque[_Piece] = deque()
        self._lent = self._held = self._most = 0

    @property
    def lent(self) -> int:
        """Bytes in use."""
        with self._lock:
            back = [piece for piece in self._returned if piece.segment in self._segments]
            return self._lent - sum(piece.stop - piece.start for piece in back)

    @property
    def free(self) -> int:
        """Bytes that wait to be used again."""
        with self._lock:
            return self._held - self.lent

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return an uninitialised, C-contiguous array."""
        size = math.prod(shape) * dtype.itemsize
        if size < SMALLEST:
            return np.empty(shape, dtype)
        with self._lock:
            if self._busy:
                # A signal handler, or a finaliser, runs a kernel in the middle of these lines.
                return np.empty(shape, dtype)
            try:
                self._busy = True
                piece = self._lend(-(-size // ALIGNMENT) * ALIGNMENT)
                memory = self._segments[piece.segment][piece.start : piece.start + size]
                lease = _Lease(self, piece, memory)
                self._busy = False
            except BaseException:
                # An interrupt may have come between any two lines, and left the lists half done.
                self._begin()
                raise
        return np.asarray(lease).view(dtype).reshape(shape)

    def _lend(self, size: int) -> _Piece:
        """Take a free piece of so many bytes."""
        self._take_back()
        recent = self._recent.get(size)
        piece = recent.pop() if recent else self._cut(size) or self._new_segment(size)
        self._lent += size
        self._most = max(self._most, self._lent)
        return piece

    def _cut(self, size: int) -> _Piece | None:
        """Make free neighbours one; cut so many bytes from the smallest that has them."""
        for pieces in self._recent.values():
            for piece in pieces:
                self._add(piece)
        self._recent.clear()
        place = bisect.bisect_left(self._lengths, (size,))
        if place == len(self._lengths):
            return None
        length, segment, start = self._lengths[place]
        self._drop(_Piece(segment, start, start + length))
        if length > size:
            self._add(_Piece(segment, start + size, start + length))
        return _Piece(segment, start, start + size)

    def _new_segment(self, size: int) -> _Piece:
        self._shrink(max(self._most, self._lent + size) + self._slack - size)
        try:
            memory = _from_the_system(size)
        except MemoryError:
            self._shrink(0)
            memory = _from_the_system(size)
        segment = next(self._serials)
        self._segments[segment] = memory
        self._held += size
        return _Piece(segment, 0, size)

    def _take_back(self) -> None:
        """Make free what was given back."""
        while self._returned:
            piece = self._returned.popleft()
            if piece.segment in self._segments:  # else it is from before a fork or an interrupt
                length = piece.stop - piece.start
                self._lent -= length
                self._recent.setdefault(length, []).append(piece)

    def _add(self, piece: _Piece) -> None:
        """Note a free piece, as one with those that it touches."""
        segment, start, stop = piece
        if (segment, start) in self._ending:
            start = self._ending[segment, start]
            self._drop(_Piece(segment, start, piece.start))
        if (segment, stop) in self._starting:
            stop = self._starting[segment, stop]
            self._drop(_Piece(segment, piece.stop, stop))
        self._starting[segment, start], self._ending[segment, stop] = stop, start
        bisect.insort(self._lengths, (stop - start, segment, start))

    def _drop(self, piece: _Piece) -> None:
        """Forget a free piece."""
        segment, start, stop = piece
        del self._starting[segment, start], self._ending[segment, stop]
        del self._lengths[bisect.bisect_left(self._lengths, (stop - start, segment, start))]

    def _shrink(self, bound: int) -> None:
        """Give free segments back, the smallest first, until no more than `bound` bytes are held.

        Neighbours are one already.
        """
        for length, segment, start in list(self._lengths):
            if self._held <= bound:
                return
            if length == self._segments[segment].size:
                self._drop(_Piece(segment, start, length))
                del self._segments[segment]
                self._held -= length

    def after_fork(self) -> None:
        """Begin anew in a forked child: who was at work on the lists does not live to go on."""
        self._lock = threading.RLock()
        self._begin()


def _from_the_system(size: int) -> Array:
    """Take so many bytes as pages of their own.

    The allocator would put them between its other things, where they leave a hole when they go.

    Raises
    ------
    MemoryError
        If there are not so many.
    """
    if not hasattr(mmap, "MAP_PRIVATE"):
        return np.empty(size, np.uint8)
    try:
        pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (OSError, OverflowError):
        raise MemoryError(f"the system has no {size} bytes left") from None
    if size >= _HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
        # As NumPy does; not every kernel knows it.
        with contextlib.suppress(OSError):
            pages.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(pages, np.uint8)


pool = BufferPool()
empty = pool.empty

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pool.after_fork)
