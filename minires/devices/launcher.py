"""What a launcher such as `mpiexec` tells the processes that it starts, before they meet."""

from __future__ import annotations

import os

__all__ = ["is_first", "launched"]

_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")
_RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK")


def launched() -> int:
    """Return how many processes a launcher speaks of; 1 without any."""
    return max(int(os.environ.get(name, 1)) for name in _SIZES)


def is_first() -> bool:
    """Tell whether this process is the one of them that speaks for all."""
    return all(int(os.environ.get(name, 0)) == 0 for name in _RANKS)
