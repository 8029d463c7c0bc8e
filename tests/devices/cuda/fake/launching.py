"""What every operation of the fake passes through: unwrapping, launching, wrapping."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from . import counts, memory

SCALARS = (bool, int, float, complex, np.generic)


class Core:
    """What a device array is made of; `array.ndarray` adds CuPy's manners.

    Attributes
    ----------
    _host : numpy.ndarray
        The host's view of the memory.
    mem : memory.Memory
        The allocation, the same object for all views of it.
    base : Core or None
        The array that this is a view of.
    """

    __slots__ = ("__weakref__", "_host", "base", "mem")
    manners: ClassVar[type[Core]]

    def __init_subclass__(cls) -> None:
        Core.manners = cls


def launch(
    name: str,
    function: Callable[[], Any],
    reads: Sequence[Core] = (),
    writes: Sequence[Core] | None = None,
) -> Any:
    """Run `function` as one launch on the device; every launch of the fake passes through here.

    Parameters
    ----------
    name : str
        What to count it as.
    function : callable
        Computes with host arrays that it closes over (`ndarray._host`), Python numbers included: a
        second call computes the same from whatever the arrays then hold. With `writes` it writes
        into those and returns nothing of interest. Without, it returns one fresh host array or a
        tuple of them, which become new device arrays: the return value of `launch`.
    reads, writes : sequences of ndarray
        The device arrays involved. Their `mem` (an allocation, shared by views, can be referenced
        weakly) tells which buffers a replay needs.

    Notes
    -----
    While `counts.Watch.recorder` is set (a stream captures), ``recorder.launch(name, function,
    reads, writes)`` is called instead and returns what this function would. With `writes` it can
    leave out the call and so capture without executing; without, it needs the result's shape:
    ``results(run(function))`` makes the device arrays, which a replay then writes into.
    """
    counts.launched(name)
    if counts.Watch.recorder is not None:
        return counts.Watch.recorder.launch(name, function, reads, writes)
    result = run(function)
    return None if writes is not None else results(result)


def run(function: Callable[[], Any]) -> Any:
    """Call `function` with a GPU's attitude to division by zero and the like: silence."""
    with np.errstate(all="ignore"):
        return function()


def results(host: Any) -> Any:
    """Return fresh host arrays as device arrays."""
    if isinstance(host, tuple | list):
        return tuple([results(part) for part in host])
    host = np.asarray(host)
    return _make(host, memory.adopt(host), None)


def _make(host: np.ndarray, mem: memory.Memory, base: Core | None) -> Core:
    array = object.__new__(Core.manners)
    array._host = host
    array.mem = mem
    array.base = base
    return array


def view_or_copy(name: str, source: Core, function: Callable[[], np.ndarray]) -> Core:
    """Return what NumPy makes of `source._host`: a view for nothing, or a copy by a launch."""
    host = function()
    if host.size == 0 or np.may_share_memory(host, source._host):
        return view(source, host)
    return launch(name, lambda: np.array(function(), order="C"), (source,))


def view(source: Core, host: np.ndarray) -> Core:
    """Return a view of `source`, given the host's view of its memory."""
    return _make(host, source.mem, source if source.base is None else source.base)


def refuse_host(value: Any) -> None:
    """Raise TypeError, as CuPy does, if there is a host array in `value`, however deep."""
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}: a host array meets the device")
    if isinstance(value, tuple | list):
        for part in value:
            refuse_host(part)
    elif isinstance(value, dict):
        refuse_host(list(value.values()))


def unwrap(value: Any) -> Any:
    """Return host arrays for device arrays, in nested lists, tuples and dicts as well."""
    if isinstance(value, Core):
        return value._host
    if isinstance(value, tuple | list):
        return type(value)([unwrap(part) for part in value])
    if isinstance(value, dict):
        return {key: unwrap(part) for key, part in value.items()}
    return value


def arrays_in(value: Any) -> list[Core]:
    """Return the device arrays in `value`, however deep."""
    if isinstance(value, Core):
        return [value]
    if isinstance(value, tuple | list):
        return [array for part in value for array in arrays_in(part)]
    if isinstance(value, dict):
        return arrays_in(list(value.values()))
    return []
