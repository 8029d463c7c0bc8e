"""Batches from a data set on the GPU."""

from __future__ import annotations

from .launching import Launching


class CudaAugmentation(Launching):
    """Batches from a data set on the GPU."""
