"""`cupy.cuda`: one device, streams, memory pools and what the runtime tells about itself."""

from __future__ import annotations

import ctypes
import importlib
import itertools
import threading
from types import SimpleNamespace
from typing import Any

from . import counts
from .memory import (  # noqa: F401 (cupy.cuda has these names)
    DEFAULT_POOL,
    POISON,
    TOTAL,
    Memory,
    MemoryPointer,
    MemoryPool,
    OutOfMemoryError,
    UnownedMemory,
    current_allocator,
    set_allocator,
    using_allocator,
)

__name__ = "cupy.cuda"

_local = threading.local()
_addresses = itertools.count(0x5000)


class CUDARuntimeError(RuntimeError):
    """What the runtime answers; `status` is its number."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Device:
    """The one device of the fake."""

    def __init__(self, device: int | None = None) -> None:
        self.id = 0 if device is None else int(device)
        if self.id != 0:
            raise CUDARuntimeError(101, "cudaErrorInvalidDevice: invalid device ordinal")

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __int__(self) -> int:
        return self.id

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def use(self) -> None:
        """Make this the current device, which it is."""

    def synchronize(self) -> None:
        counts.waited("Device.synchronize()")

    @property
    def compute_capability(self) -> str:
        return "90"

    @property
    def mem_info(self) -> tuple[int, int]:
        return TOTAL - DEFAULT_POOL.total_bytes(), TOTAL

    @property
    def attributes(self) -> dict[str, int]:
        return {"MultiProcessorCount": 132, "L2CacheSize": 50 << 20}


class Stream:
    """A queue of launches. The fake runs every launch at once, in the order of the calls."""

    def __init__(
        self,
        null: bool = False,
        non_blocking: bool = False,
        ptds: bool = False,
        priority: int | None = None,
    ) -> None:
        self.ptr = 0 if null else next(_addresses) << 4
        self.is_non_blocking = non_blocking
        self.priority = priority or 0
        self.done = True
        self._before: list[Stream] = []

    def __repr__(self) -> str:
        return f"<Stream {self.ptr} (device 0)>"

    def __enter__(self) -> Stream:
        self._before.append(get_current_stream())
        _local.stream = self
        return self

    def __exit__(self, *error: object) -> None:
        _local.stream = self._before.pop()

    def use(self) -> Stream:
        _local.stream = self
        return self

    def synchronize(self) -> None:
        counts.waited("Stream.synchronize()")

    def record(self, event: Any = None) -> Any:
        return event if event is not None else Event()

    def wait_event(self, event: Any) -> None:
        """Nothing to wait for: launches run at once."""

    def is_capturing(self) -> bool:
        recorder = counts.Watch.recorder
        return recorder is not None and recorder.stream is self

    def begin_capture(self, mode: int | None = None) -> None:
        if self.ptr == 0:
            raise CUDARuntimeError(900, "cudaErrorStreamCaptureUnsupported: the default stream")
        _graphs().begin(self)

    def end_capture(self) -> Any:
        return _graphs().end(self)


def _graphs() -> Any:
    """Module `graphs` of the fake: ``begin(stream)`` sets `counts.Watch.recorder` (with an
    attribute `stream`), ``end(stream)`` clears it and returns the graph."""
    return importlib.import_module("tests.devices.cuda.fake.graphs")


Stream.null = Stream(null=True)  # type: ignore[attr-defined]


def get_current_stream(device_id: int = -1) -> Stream:
    return getattr(_local, "stream", None) or Stream.null  # type: ignore[attr-defined]


class Event:
    """A mark in a stream."""

    done = True

    def __init__(
        self, block: bool = False, disable_timing: bool = False, interprocess: bool = False
    ) -> None:
        self.ptr = next(_addresses)

    def record(self, stream: Any = None) -> None:
        """Every launch is over already."""

    def synchronize(self) -> None:
        counts.waited("Event.synchronize()")


def get_elapsed_time(start_event: Event, end_event: Event) -> float:
    return 0.0


def alloc_pinned_memory(size: int) -> Any:
    """Page-locked memory of the host: `ptr`, and a buffer that numpy.frombuffer reads."""

    class PinnedMemoryPointer(ctypes.c_uint8 * size):  # type: ignore[misc]
        ptr = property(ctypes.addressof)

        def size(self) -> int:
            return size

    pointer = PinnedMemoryPointer()
    ctypes.memset(pointer, POISON, size)
    return pointer


class PinnedMemoryPool:
    """Hands out pinned memory."""

    def malloc(self, size: int) -> Any:
        return alloc_pinned_memory(size)

    def free_all_blocks(self) -> None:
        """Nothing is kept."""

    def n_free_blocks(self) -> int:
        return 0


DEFAULT_PINNED_POOL = PinnedMemoryPool()


def alloc(size: int) -> MemoryPointer:
    return current_allocator()(size)


def get_allocator() -> Any:
    return current_allocator()


def is_available() -> bool:
    return True


def get_device_id() -> int:
    return 0


runtime = SimpleNamespace(
    __name__="cupy.cuda.runtime",
    CUDARuntimeError=CUDARuntimeError,
    is_hip=False,
    getDeviceCount=lambda: 1,
    getDevice=lambda: 0,
    setDevice=lambda device: Device(device).use(),
    driverGetVersion=lambda: 13000,
    runtimeGetVersion=lambda: 13000,
    getDeviceProperties=lambda device: {
        "name": b"Fake GPU",
        "totalGlobalMem": TOTAL,
        "multiProcessorCount": 132,
        "major": 9,
        "minor": 0,
        "l2CacheSize": 50 << 20,
    },
    memGetInfo=lambda: (TOTAL - DEFAULT_POOL.total_bytes(), TOTAL),
    deviceSynchronize=lambda: counts.waited("deviceSynchronize()"),
)
