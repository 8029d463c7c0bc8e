"""Adding at indices, on a GPU."""

from __future__ import annotations

from .launching import Launching


class CudaScatter(Launching):
    """Adding at indices, on a GPU."""
