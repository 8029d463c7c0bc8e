"""Element-wise functions on a GPU."""

from __future__ import annotations

from ..elementwise import ElementwiseKernels
from .launching import Launching


class CudaElementwise(Launching, ElementwiseKernels):
    """Element-wise functions on a GPU."""
