"""Launching kernels on one GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
        structures = [i for i, p in enumerate(kernel.parameters) if p.type in kernel.types]
        if not structures:
            return function

        def start(grid: Grid, block: tuple[int], args: tuple[Any, ...]) -> None:
            # As bytes: of a structure CuPy would ask for a list of its fields, which takes long.
            given = list(args)
            for i in structures:
                given[i] = given[i].view(f"V{given[i].itemsize}")
            function(grid, block, given)

        return start
