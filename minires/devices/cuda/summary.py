"""The tracer's statistics on a GPU."""

from __future__ import annotations

from ..summary import SummaryKernels
from .launching import Launching


class CudaSummary(Launching, SummaryKernels):
    """The tracer's statistics on a GPU."""
