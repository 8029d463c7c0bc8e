"""Convolution on a GPU."""

from __future__ import annotations

from ..convolution import ConvolutionKernels
from .launching import Launching


class CudaConvolution(Launching, ConvolutionKernels):
    """Convolution on a GPU."""
