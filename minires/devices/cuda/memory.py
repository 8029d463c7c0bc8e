"""The memory of a GPU: how much there is, and who has it.

CuPy keeps what arrays give back, in a pool, because asking the driver is slow and waits for the
device. The environment variable ``CUPY_GPU_MEMORY_LIMIT`` (bytes, or a share such as ``50%``) says
how much the pool may take. Host arrays travel through page-locked memory, of which CuPy keeps a
pool too: a block is used again when its copy is over. So an upload does not wait for the device,
and the host array may be overwritten at once.
"""

from __future__ import annotations

from typing import NamedTuple

from .launching import Launching


class MemoryUse(NamedTuple):
    """Bytes of one GPU's memory.

    Attributes
    ----------
    used : int
        In arrays.
    reserved : int
        Held by the pool: the arrays, and what they gave back.
    free : int
        What the driver still has to give, to this program or to others.
    total : int
        All memory of the GPU.
    """

    used: int
    reserved: int
    free: int
    total: int


class CudaMemory(Launching):
    """How much memory there is."""

    def memory(self) -> MemoryUse:
        """Tell how the memory is used right now.

        The private pools of captured graphs count as neither used nor reserved, only as not free.
        """
        pool = self.xp.get_default_memory_pool()  # tells of the current GPU
        free, total = self.xp.cuda.runtime.memGetInfo()
        return MemoryUse(pool.used_bytes(), pool.total_bytes(), free, total)

    def free_memory(self) -> None:
        """Give what the pool holds for no array back to the driver, so that others can have it."""
        self.xp.get_default_memory_pool().free_all_blocks()
