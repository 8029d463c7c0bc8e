"""What optimisers do, on a GPU."""

from __future__ import annotations

from ..updates import UpdateKernels
from .launching import Launching


class CudaUpdates(Launching, UpdateKernels):
    """What optimisers do, on a GPU."""
