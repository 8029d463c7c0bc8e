"""A CUDA kernel: its source, and the same computation in NumPy beside it.

The source is CUDA C++ in which `T` stands for the dtype of what is stored (half, float, double) and
`A` for the one in which to compute with it (float, float, double). Only what a computer without a
GPU can imitate is used: no atomics, no warps, no dynamic shared memory. So a kernel gives the same
bits in every run, and the very source can be compiled for the host and tested there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = Any

# C's names of what an array's elements and a kernel's scalars can be.
_DTYPES: dict[str, np.dtype[Any]] = {
    "float": np.dtype("float32"),
    "double": np.dtype("float64"),
    "int": np.dtype("int32"),
    "unsigned": np.dtype("uint32"),
    "long long": np.dtype("int64"),
    "unsigned char": np.dtype("uint8"),
    "bool": np.dtype("bool"),
}
_STORED = {
    np.dtype("float16"): ("half", "float"),
    np.dtype("float32"): ("float", "float"),
    np.dtype("float64"): ("double", "double"),
}
_SIGNATURE = re.compile(
    r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s+)?(\w+)\s*\(([^)]*)\)'
)


class Parameter(NamedTuple):
    """One parameter of a kernel; `type` is C's name without const and star."""

    name: str
    type: str
    is_array: bool
    is_const: bool


class Kernel:
    """A kernel that can be launched on a CUDA device, compiled for the host, or read.

    Parameters
    ----------
    source : str
        CUDA C++ with one ``extern "C" __global__ void`` function, which gives the kernel its name.
        `BLOCK` stands for the number of threads of a block.
    plain : callable
        The same in NumPy: takes the same arguments and writes into the same arrays.
    block : int
        Threads per block.
    types : dict, optional
        NumPy dtypes of the structures that the source defines and takes by value.
    """

    def __init__(
        self,
        source: str,
        plain: Callable[..., None],
        block: int = 256,
        types: dict[str, np.dtype[Any]] | None = None,
    ) -> None:
        found = _SIGNATURE.search(source)
        assert found is not None, 'a kernel\'s source has one extern "C" __global__ function'
        self.name = found[1]
        self.source = source.strip()
        self.plain = plain
        self.block = block
        self.types = types or {}
        self.parameters = tuple(map(_parameter, found[2].split(",")))
        # Looked up at every launch, so worked out once for each stored dtype.
        self._dtypes: dict[Any, list[np.dtype[Any]]] = {}

    def __repr__(self) -> str:
        return f"<kernel {self.name}>"

    def grid(self, count: int) -> int:
        """Return how many blocks have a thread for each of `count` elements."""
        return -(-count // self.block)

    def code(self, T: Any) -> str:
        """Return the whole text to compile for stored dtype `T`."""
        stored, wide = _STORED[np.dtype(T)]
        header = "#include <cuda_fp16.h>\n" if stored == "half" else ""
        names = f"typedef {stored} T;\ntypedef {wide} A;\n#define BLOCK {self.block}\n\n"
        return header + names + self.source + "\n"

    def dtype_of(self, parameter: Parameter, T: Any) -> np.dtype[Any]:
        """Return the NumPy dtype of a parameter, or of an array parameter's elements."""
        if parameter.type in ("T", "A"):
            stored = np.dtype(T)
            wide = np.dtype("float32") if stored == np.float16 else stored
            return stored if parameter.type == "T" else wide
        return {**_DTYPES, **self.types}[parameter.type]

    def arguments(self, given: tuple[Any, ...], T: Any) -> tuple[Any, ...]:
        """Return what to hand to the compiled kernel: scalars in C's types, arrays as they are.

        Raises
        ------
        TypeError
            If the number of arguments, or the dtype of an array, is not what the source declares.
        """
        if len(given) != len(self.parameters):
            raise TypeError(
                f"kernel {self.name} takes {len(self.parameters)} arguments, found {len(given)}"
            )
        dtypes = self._dtypes.get(T)
        if dtypes is None:
            dtypes = self._dtypes[T] = [self.dtype_of(p, T) for p in self.parameters]
        taken = []
        for parameter, dtype, value in zip(self.parameters, dtypes, given, strict=True):
            if not (parameter.is_array or dtype.names):
                taken.append(dtype.type(value))
                continue
            if parameter.is_array and value is not None and value.dtype != dtype:
                raise TypeError(
                    f"kernel {self.name}: array {parameter.name!r} must be {dtype}, found"
                    f" {value.dtype}"
                )
            taken.append(value)
        return tuple(taken)


def _parameter(text: str) -> Parameter:
    """Read one parameter of a signature, such as ``const T* x``."""
    words = text.replace("*", " * ").split()
    *kind, name = [word for word in words if word not in ("const", "*", "__restrict__")]
    return Parameter(name, " ".join(kind), "*" in words, "const" in words)
