"""Ranks with a GPU each: arrays travel from GPU to GPU by NCCL, all else through MPI.

Written after CuPy's documentation, and tested against a stand-in only: it has not met a GPU yet.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .mpi import MPICommunicator

Array = Any


class NCCLCommunicator(MPICommunicator):
    """All processes of one `mpiexec`, each with a GPU of its own, which is the current one.

    Raises
    ------
    RuntimeError
        If CuPy finds no NCCL.
    ImportError, RuntimeError
        As `MPICommunicator`.
    """

    def __init__(self) -> None:
        super().__init__()
        import cupy
        from cupy.cuda import nccl

        if not nccl.available:
            raise RuntimeError(
                "CuPy finds no NCCL, by which GPUs exchange gradients; install the package"
                " nvidia-nccl-cu13 (or -cu12)"
            )
        self._cupy = cupy
        self._sum = nccl.NCCL_SUM
        self._kinds = {
            "float16": nccl.NCCL_FLOAT16,
            "float32": nccl.NCCL_FLOAT32,
            "float64": nccl.NCCL_FLOAT64,
            "int64": nccl.NCCL_INT64,
        }
        identity = self.tell(nccl.get_unique_id())
        self._link = nccl.NcclCommunicator(self.size, identity, self.rank)

    def all_reduce(self, array: Array) -> Array:
        """Write the sum over all ranks into `array`; return it."""
        if not self._travels(array):
            return super().all_reduce(array)
        pointer = array.data.ptr
        self._link.allReduce(pointer, pointer, *self._contents(array), self._sum, self._stream())
        return array

    def all_gather(self, array: Array) -> Array:
        """Return the arrays of all ranks, stacked along a new axis 0."""
        if not self._travels(array):
            return super().all_gather(array)
        rows = self._cupy.empty((self.size, *array.shape), array.dtype)
        contents = self._contents(array)
        self._link.allGather(array.data.ptr, rows.data.ptr, *contents, self._stream())
        return rows

    def broadcast(self, array: Array) -> Array:
        """Overwrite `array` by that of rank 0; return it."""
        if not self._travels(array):
            return super().broadcast(array)
        pointer = array.data.ptr
        self._link.broadcast(pointer, pointer, *self._contents(array), 0, self._stream())
        return array

    def _travels(self, array: Array) -> bool:
        """Whether NCCL can take it: on the GPU, without gaps, of a dtype that it knows."""
        if isinstance(array, np.ndarray) or not array.flags.c_contiguous:
            return False
        return str(array.dtype) in self._kinds

    def _contents(self, array: Array) -> tuple[int, int]:
        return array.size, self._kinds[str(array.dtype)]

    def _stream(self) -> int:
        """NCCL works in the order of this stream: nobody needs to wait for it."""
        pointer: int = self._cupy.cuda.get_current_stream().ptr
        return pointer
