"""What an operation launches, kept to be tried again: with the source, with mutants of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from minires.devices.cuda.kernel import Kernel
from tests.devices.cuda import fake, host


class Launch(NamedTuple):
    """A kernel with its arguments, host arrays as they were before it ran."""

    kernel: Kernel
    grid: tuple[int, ...]
    args: tuple[Any, ...]
    T: Any


def launches_of(function: Callable[[Any, Callable[[Any], Any]], Any]) -> tuple[list[Launch], Any]:
    """Call ``function(device, put)`` on the fake device; `put` uploads an array.

    Returns what was launched there, and what the function returned, on the host.
    """
    made: list[Launch] = []
    with fake.installed() as device:
        execute = device._execute

        def record(kernel: Kernel, grid: Any, hosts: tuple[Any, ...], T: Any) -> None:
            kept = [a.copy("K") if isinstance(a, np.ndarray) else a for a in hosts]
            made.append(Launch(kernel, grid, tuple(kept), T))
            execute(kernel, grid, hosts, T)

        device._execute = record
        result = function(device, lambda a: None if a is None else device.array(a))
        return made, _on_host(device, result)


def _on_host(device: Any, result: Any) -> Any:
    if isinstance(result, tuple):
        return tuple([_on_host(device, part) for part in result])
    return None if result is None else device.to_numpy(result)


def check(made: Iterable[Launch], **options: Any) -> None:
    """Assert that the sources compute what the plain versions do; see `host.check`."""
    with np.errstate(all="ignore"):
        for kernel, grid, args, T in made:
            host.check(kernel, grid, args, T, **options)


def surviving(
    kernel: Kernel, changes: Iterable[tuple[str, str]], made: Iterable[Launch], **options: Any
) -> list[tuple[str, str]]:
    """Return the changes (old, new) of a kernel's source that none of its launches gives away."""
    cases = [launch[1:] for launch in made if launch.kernel is kernel]
    assert cases, f"kernel {kernel.name} was not launched"
    with np.errstate(all="ignore"):
        return [
            change
            for change in changes
            if not host.caught(host.mutated(kernel, *change), cases, **options)
        ]
