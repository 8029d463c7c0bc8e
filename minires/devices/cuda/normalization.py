"""Batch normalisation on a GPU."""

from __future__ import annotations

from ..normalization import NormalizationKernels
from .launching import Launching


class CudaNormalization(Launching, NormalizationKernels):
    """Batch normalisation on a GPU."""
