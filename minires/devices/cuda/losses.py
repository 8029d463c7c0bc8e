"""Cross-entropy on a GPU."""

from __future__ import annotations

from ..losses import LossKernels
from .launching import Launching


class CudaLosses(Launching, LossKernels):
    """Cross-entropy on a GPU."""
