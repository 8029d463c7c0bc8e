"""Matrix products on a GPU."""

from __future__ import annotations

from .launching import Launching


class CudaBlas(Launching):
    """Matrix products on a GPU."""
