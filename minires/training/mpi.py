"""Ranks that `mpiexec` started, talking through MPI."""

from __future__ import annotations

import os
import sys
from typing import Any, TypeVar

import numpy as np

from minires import devices
from minires.devices.launcher import launched

Array = Any
Value = TypeVar("Value")


class MPICommunicator:
    """All processes of one `mpiexec`; a `minires.devices.communicator.Communicator`.

    Arrays of a GPU travel through the host: `minires.training.nccl` knows a shorter way.

    Attributes
    ----------
    rank, size, local_rank, local_size : int
        As of a `Communicator`.
    cores : int
        How many processor cores the ranks of this machine may use together.
    device : str
        Where this rank computes.

    Raises
    ------
    ImportError
        If mpi4py is missing, or finds no MPI.
    RuntimeError
        If the processes were started by the launcher of another MPI than mpi4py uses.
    """

    def __init__(self) -> None:
        try:
            from mpi4py import MPI
        except (ImportError, RuntimeError) as error:  # mpi4py raises either if MPI is missing
            raise ImportError(
                "training with several ranks talks through MPI, by mpi4py, which needs the extra"
                f" 'mpi': python -m pip install 'minires[mpi]' ({error})"
            ) from error
        self._mpi = MPI
        self._world = MPI.COMM_WORLD
        self.rank: int = self._world.Get_rank()
        self.size: int = self._world.Get_size()
        _check_launcher(self.size)
        machine = self._world.Split_type(MPI.COMM_TYPE_SHARED)
        self.local_rank: int = machine.Get_rank()
        self.local_size: int = machine.Get_size()
        self.device = "cpu"
        self.cores = len(set().union(*machine.allgather(_cores())))
        machine.Free()

    def __repr__(self) -> str:
        return f"MPICommunicator(rank {self.rank} of {self.size})"

    def __deepcopy__(self, memo: Any) -> MPICommunicator:
        """Return this one: a copy of a model belongs to the same ranks."""
        return self

    def all_reduce(self, array: Array) -> Array:
        """Write the sum over all ranks into `array`; return it."""
        host = _host(array)
        self._world.Allreduce(self._mpi.IN_PLACE, host, self._mpi.SUM)
        return _back(host, array)

    def all_gather(self, array: Array) -> Array:
        """Return the arrays of all ranks, stacked along a new axis 0."""
        host = _host(array)
        rows = np.empty((self.size, *host.shape), host.dtype)
        self._world.Allgather(host, rows)
        return rows if isinstance(array, np.ndarray) else devices.of(array).array(rows)

    def broadcast(self, array: Array) -> Array:
        """Overwrite `array` by that of rank 0; return it."""
        host = _host(array)
        self._world.Bcast(host)
        return _back(host, array)

    def gather(self, value: Value) -> list[Value] | None:
        """Return the values of all ranks on rank 0, and None on the others."""
        values: list[Value] | None = self._world.gather(value)
        return values

    def tell(self, value: Value) -> Value:
        """Return the value of rank 0."""
        told: Value = self._world.bcast(value)
        return told

    def barrier(self) -> None:
        """Wait until all ranks are here."""
        self._world.Barrier()

    def abort(self, code: int) -> None:
        """End the processes of all ranks with this exit code."""
        sys.stdout.flush()
        self._world.Abort(code)
        os._exit(code)  # if the launcher is slower in ending this process than Abort in returning


def _host(array: Array) -> Any:
    """Return the values on the host, without gaps; the array itself if it is like that."""
    return np.asarray(devices.of(array).to_numpy(array), order="C")


def _back(host: Any, array: Array) -> Array:
    """Write what arrived on the host into the array that it is for."""
    if host is not array:
        array[...] = devices.of(array).array(host)
    return array


def _cores() -> set[int]:
    """Numbers of the processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _check_launcher(size: int) -> None:
    """Raise RuntimeError if the launcher speaks of more processes than MPI finds."""
    started = launched()
    if size == 1 and started > 1:
        raise RuntimeError(
            f"the launcher started {started} processes, but each finds itself alone: its MPI is"
            " not the one that mpi4py uses. Take the `mpiexec` of the package mpich, which stands"
            " beside this Python in its environment"
        )
