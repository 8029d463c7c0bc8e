"""The tracer's statistics on a GPU."""

from __future__ import annotations

from .launching import Launching


class CudaSummary(Launching):
    """The tracer's statistics on a GPU."""
