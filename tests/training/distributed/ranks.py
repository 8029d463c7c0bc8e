"""Ranks that are threads of the tests' own process, so that they need no MPI."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np


class ThreadRank:
    """A Communicator among threads; each word between them is a meeting of all."""

    def __init__(self, rank: int, size: int, meeting: threading.Barrier, table: list[Any]) -> None:
        self.rank = self.local_rank = rank
        self.size = self.local_size = size
        self.sent: list[tuple[int, ...]] = []
        self._meeting = meeting
        self._table = table

    def _exchange(self, value: Any) -> list[Any]:
        self._table[self.rank] = value
        self._meeting.wait(timeout=60)
        values = list(self._table)
        self._meeting.wait(timeout=60)
        return values

    def all_reduce(self, array: Any) -> Any:
        assert array.flags.c_contiguous
        self.sent.append(array.shape)
        arrays = self._exchange(array.copy())
        assert len({(each.shape, each.dtype) for each in arrays}) == 1
        array[...] = sum(arrays[1:], arrays[0])
        return array

    def all_gather(self, array: Any) -> Any:
        self.sent.append(array.shape)
        return np.stack(self._exchange(array.copy()))

    def broadcast(self, array: Any) -> Any:
        array[...] = self._exchange(array.copy())[0]
        return array

    def gather(self, value: Any) -> list[Any] | None:
        values = self._exchange(value)
        return values if self.rank == 0 else None

    def tell(self, value: Any) -> Any:
        return self._exchange(value)[0]

    def barrier(self) -> None:
        self._meeting.wait(timeout=60)

    def abort(self, code: int) -> None:
        self._meeting.abort()


def on_ranks(size: int, work: Callable[[ThreadRank], Any]) -> list[Any]:
    """Let `size` ranks do the work; return their results, or raise the first rank's error.

    One that waits for a rank which never comes fails after a minute.
    """
    meeting, table = threading.Barrier(size, timeout=60), [None] * size

    def run(rank: int) -> Any:
        try:
            return work(ThreadRank(rank, size, meeting, table))
        except BaseException:
            meeting.abort()  # lest the others wait
            raise

    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(run, rank) for rank in range(size)]
    errors = [error for future in futures if (error := future.exception()) is not None]
    for error in errors:
        if not isinstance(error, threading.BrokenBarrierError):
            raise error
    return [future.result() for future in futures]
