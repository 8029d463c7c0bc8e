"""Tracing: see how the gradient travels, take it apart exactly, and prove it."""

from __future__ import annotations

from .comparison import TraceComparison
from .forks import Fork, ForkPart, Gain
from .norm_terms import BatchNormTerms
from .replay import ReplayError
from .spectrum import Omission, PathSpectrum
from .trace import Trace, record

__all__ = [
    "BatchNormTerms",
    "Fork",
    "ForkPart",
    "Gain",
    "Omission",
    "PathSpectrum",
    "ReplayError",
    "Trace",
    "TraceComparison",
    "record",
]
