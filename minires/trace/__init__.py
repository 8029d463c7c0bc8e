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
from .views.figure_graph import plot_graph
from .views.figures import (
    plot_gradient_flow,
    plot_heat_map,
    plot_path_spectrum,
    plot_waterfall,
)

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
    "plot_gradient_flow",
    "plot_graph",
    "plot_heat_map",
    "plot_path_spectrum",
    "plot_waterfall",
    "record",
]
