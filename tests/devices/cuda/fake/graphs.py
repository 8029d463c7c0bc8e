"""Capture and replay on the fake: launches are recorded with the memory that they touch.

A capture does not compute. Here each launch does run, so that shapes and indices are checked, but
at the end whatever it wrote is undone: old memory holds what it held, new memory is poisoned. A
replay runs the records again, in the same memory; Python numbers in them are what they were.
Memory that died meanwhile is an error, unless it lay in a pool of the graph's own that still has
it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import counts, memory
from .launching import Core, results, run


class DiedError(RuntimeError):
    """A replay touches memory that was given back: on a GPU, somebody else's by now."""


class _Place(NamedTuple):
    """Memory as a graph knows it: by its address. `bytes_` keeps the host from reusing it."""

    mem: weakref.ref[memory.Memory]
    keeper: weakref.ref[Any] | None
    bytes_: np.ndarray

    def is_gone(self) -> bool:
        return self.mem() is None and (self.keeper is None or self.keeper() is None)


class _Record(NamedTuple):
    name: str
    function: Callable[[], Any]
    places: list[_Place]
    made: list[np.ndarray]


class Graph:
    """What `end_capture` returns."""

    def __init__(self, records: list[_Record]) -> None:
        self._records = records

    def upload(self, stream: Any = None) -> None:
        """Nothing to prepare."""

    def launch(self, stream: Any = None) -> None:
        """Run all records, which costs the host one launch."""
        counts.launched("graph")
        for record in self._records:
            if any(place.is_gone() for place in record.places):
                raise DiedError(f"{record.name} touches memory that died since it was captured")
            result = run(record.function)
            values = [] if not record.made else [result] if len(record.made) == 1 else list(result)
            for host, value in zip(record.made, values, strict=True):
                host[...] = value


class Recorder:
    """Stands where launches and transfers pass while a stream captures."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.records: list[_Record] = []
        self.invalid = False
        self._before: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def launch(
        self,
        name: str,
        function: Callable[[], Any],
        reads: Sequence[Core],
        writes: Sequence[Core] | None,
    ) -> Any:
        for array in writes or ():
            held = array.mem.buffer
            self._before.setdefault(array.mem.ptr, (held, held.copy()))
        result = run(function)
        made = () if writes is not None else results(result)
        arrays = [made] if isinstance(made, Core) else list(made)
        for array in arrays:
            self._before[array.mem.ptr] = (array.mem.buffer, _poison(array._host))
        touched = [_place(array.mem) for array in (*reads, *(writes or ()), *arrays)]
        self.records.append(_Record(name, function, touched, [array._host for array in arrays]))
        return None if writes is not None else made

    def transfer(self, kind: str, what: str) -> None:
        self.invalid = True
        raise RuntimeError(
            "cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing:"
            f" {kind} by {what}"
        )

    def undo(self) -> None:
        """Leave memory as a capture does: untouched where it is old, garbage where it is new."""
        for held, before in self._before.values():
            held[...] = before


def begin(stream: Any) -> None:
    """Record what is launched from now on."""
    counts.Watch.recorder = Recorder(stream)


def end(stream: Any) -> Graph:
    """Return the graph."""
    recorder, counts.Watch.recorder = counts.Watch.recorder, None
    assert recorder is not None, "no capture was begun"
    recorder.undo()
    if recorder.invalid:
        raise RuntimeError("cudaErrorStreamCaptureInvalidated: operation failed in a capture")
    return Graph(recorder.records)


def _place(mem: memory.Memory) -> _Place:
    """Arrays of a private pool may die, as long as their pool, or what it cut them from, lives."""
    private = mem.pool is not None and mem.pool is not memory.DEFAULT_POOL
    keeper = mem.chunk or (weakref.ref(mem.pool) if private else None)
    return _Place(weakref.ref(mem), keeper, mem.owner)


def _poison(host: np.ndarray) -> np.ndarray:
    """Bytes of what nobody has computed yet: NaN, and integers that are no index."""
    if host.dtype.kind in "fc":
        return np.full(host.size, np.nan, host.dtype).view(np.uint8)
    return np.full(host.nbytes, 1 if host.dtype.kind == "b" else 0xA5, np.uint8)
