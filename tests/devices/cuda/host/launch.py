"""Launching a kernel on NumPy arrays."""

from __future__ import annotations

import ctypes
import math
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from minires.devices.cuda.kernel import Kernel

from .compiler import compiled, loaded, runner
from .faults import KINDS, Unsanitary

Array = np.ndarray[Any, Any]


class _Argument(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("address", ctypes.c_void_p),
        ("count", ctypes.c_longlong),
        ("itemsize", ctypes.c_longlong),
    )


def run(
    kernel: Kernel,
    grid: int | tuple[int, ...],
    args: Sequence[Any],
    T: Any,
    sanitize: str | None = None,
    memory: dict[str, Array] | None = None,
) -> None:
    """Run a kernel's source on the host, in the memory of the arrays among `args`.

    Parameters
    ----------
    kernel : Kernel
    grid : int or tuple of up to 3 ints
        Blocks.
    args : sequence
        Arrays of any strides whose memory is dense, None for a null pointer, numbers, and
        structures as NumPy scalars or arrays without axes.
    T : dtype
        The stored dtype: float16, float32, float64.
    sanitize : "thread" or "address", optional
        Run real threads under that sanitizer of g++, in another process. For small blocks.
    memory : dict of arrays by name, optional
        What pointers inside structures point to. They are unchecked without.

    Raises
    ------
    OutOfBounds, Race, Uninitialised, Diverged, Unsanitary
        What the kernel did wrong. The arrays hold what it had written until then, or, sanitized,
        what they held before.
    ValueError
        If a GPU would refuse the launch, or an array's memory has gaps.
    """
    sizes = _grid(kernel, grid)
    checked = kernel.arguments(tuple(args), T)
    names = [parameter.name for parameter in kernel.parameters]
    described = [
        _described(kernel, *pair, T) for pair in zip(kernel.parameters, checked, strict=True)
    ]
    for name, array in (memory or {}).items():
        names.append(name)
        described.append((*_span(name, array), array.itemsize, array))
    structure = (_Argument * len(names))()
    for slot, name, (address, count, itemsize, _) in zip(structure, names, described, strict=True):
        slot.name, slot.data, slot.address = name.encode(), address, address
        slot.count, slot.itemsize = count, itemsize
    path = compiled(kernel, T, sanitize)
    if sanitize is not None:
        _run_program(kernel, path, sizes, structure)
        return
    library = loaded(path)
    library.check_tables(memory is not None)
    fault = library.launch((ctypes.c_uint * 3)(*sizes), kernel.block, structure, len(names))
    if fault:
        raise KINDS[fault](f"kernel {kernel.name}: {library.fault_message().decode()}")


def _grid(kernel: Kernel, grid: int | tuple[int, ...]) -> tuple[int, int, int]:
    sizes = (grid,) if isinstance(grid, int | np.integer) else tuple(grid)
    x, y, z = (*map(int, sizes), 1, 1, 1)[:3]
    right = len(sizes) <= 3 and min(x, y, z) >= 1 and x < 2**31 and max(y, z) < 2**16
    if not right or not 1 <= kernel.block <= 1024:
        raise ValueError(
            f"kernel {kernel.name}: a GPU takes 1 to 3 sizes from 1, the first below 2**31, the "
            f"others below 2**16, and at most 1024 threads; found {grid} x {kernel.block}"
        )
    return x, y, z


def _described(kernel: Kernel, parameter: Any, value: Any, T: Any) -> tuple[Any, int, int, Any]:
    """Return address, elements, bytes of one, and what must stay alive meanwhile."""
    dtype = kernel.dtype_of(parameter, T)
    if not parameter.is_array:
        held = np.array(value, dtype)
        return held.ctypes.data, 1, dtype.itemsize, held
    if value is None:
        return None, -1, dtype.itemsize, None
    if not (parameter.is_const or value.flags.writeable):
        raise ValueError(f"kernel {kernel.name}: array {parameter.name!r} is read-only")
    return (*_span(parameter.name, value), dtype.itemsize, value)


def _span(name: str, array: Array) -> tuple[int, int]:
    """Return where an array's memory begins, and how many elements it has."""
    low, high = byte_bounds(array)
    if array.size and high - low != array.nbytes:
        raise ValueError(f"array {name!r} has gaps in its memory: {array.shape}, {array.strides}")
    return low, array.size


def _run_program(kernel: Kernel, path: Path, sizes: tuple[int, ...], arguments: Any) -> None:
    """Run a sanitized program; see program.hpp for the files."""
    with tempfile.TemporaryDirectory() as folder:
        given, result = Path(folder) / "given", Path(folder) / "result"
        with given.open("wb") as file:
            file.write(np.array([*sizes, kernel.block, len(arguments)], np.int64).tobytes())
            for a in arguments:
                file.write(a.name[:63].ljust(63, b"\0"))
                file.write(np.array([a.address or 0, a.count, a.itemsize], np.int64).tobytes())
                file.write(ctypes.string_at(a.data, _bytes(a)) if _bytes(a) else b"")
        done = subprocess.run(
            [*runner(), str(path), str(given), str(result)],
            env=os.environ | {"ASAN_OPTIONS": "detect_leaks=0"},  # the program's, not the kernel's
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )
        _, fault, rest = done.stderr.partition("FAULT ")
        if fault:
            kind, _, message = rest.partition(" ")
            raise KINDS[int(kind)](f"kernel {kernel.name}: {message.strip()}")
        if done.returncode or done.stderr:
            raise Unsanitary(f"kernel {kernel.name}, exit {done.returncode}:\n{done.stderr}")
        with result.open("rb") as file:
            for a in arguments:
                if _bytes(a):
                    ctypes.memmove(a.data, file.read(_bytes(a)), _bytes(a))


def _bytes(argument: Any) -> int:
    return math.prod([max(argument.count, 0), argument.itemsize])
