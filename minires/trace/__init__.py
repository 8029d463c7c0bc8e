"""Tracing: see how the gradient travels, take it apart exactly, and prove it."""

from __future__ import annotations

from .comparison import TraceComparison
from .file import TraceFileError, load
from .forks import Fork, ForkPart, Gain
from .norm_terms import BatchNormTerms
from .recording import record
from .replay import ReplayError
from .schema import json_schema
from .spectrum import Omission, PathSpectrum
from .trace import Trace

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
    "TraceFileError",
    "json_schema",
    "load",
    "record",
]
