"""Launching kernels on one GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .kernel import Kernel

Array = Any
Grid = int | tuple[int, int] | tuple[int, int, int]

# From so many elements on a kernel's 32-bit indices overflow; the readable kernels, which leave
# indices to CuPy, take over.
TOO_LARGE = 2**31


class Launching:
    """What every group of CUDA kernels needs: the array library, and a way to launch.

    Attributes
    ----------
    xp
        CuPy, or what stands in for it.
    index : int
        The number of the GPU.
    """

    xp: Any
    index: int
    _functions: dict[tuple[Kernel, str], Callable[..., None]]

    def is_capturing(self) -> bool:
        """Tell whether the current stream records a graph."""
        return bool(self.xp.cuda.get_current_stream().is_capturing())

    def launch(self, kernel: Kernel, grid: Grid, *args: Any, T: Any) -> None:
        """Start `kernel` with so many blocks, on the current stream; do not wait for it.

        Parameters
        ----------
        kernel : Kernel
        grid : int or tuple of int
            Number of blocks along x, or along (x, y) or (x, y, z). Nothing happens if it is 0.
        *args
            The kernel's arguments: arrays of this device (None is a null pointer), numbers.
        T : dtype
            What the kernel stores.
        """
        blocks = (grid,) if isinstance(grid, int) else grid
        if 0 in blocks:
            return
        key = kernel, T.char
        function = self._functions.get(key)
        if function is None:
            function = self._functions[key] = self._compiled(kernel, T)
        function(blocks, (kernel.block,), kernel.arguments(args, T))

    def _compiled(self, kernel: Kernel, T: Any) -> Callable[..., None]:
        """Return what launches the kernel: called with (grid, block, arguments)."""
        module = self.xp.RawModule(code=kernel.code(T), options=("--std=c++17",))
        function: Callable[..., None] = module.get_function(kernel.name)
        if not kernel.types:
            return function

        def start(grid: Grid, block: tuple[int], args: tuple[Any, ...]) -> None:
            function(grid, block, tuple(map(_bytes_of, args)))

        return start


def _bytes_of(value: Any) -> Any:
    """View a structure as bytes: CuPy asks for a description of its fields, which takes long."""
    if isinstance(value, np.ndarray) and value.dtype.names:
        return value.view(f"V{value.itemsize}")
    return value
