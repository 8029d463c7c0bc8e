"""Pooling on a GPU."""

from __future__ import annotations

from ..pooling import PoolingKernels
from .launching import Launching


class CudaPooling(Launching, PoolingKernels):
    """Pooling on a GPU."""
