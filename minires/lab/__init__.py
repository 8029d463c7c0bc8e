"""Experiments: a question, the runs that answer it, a verdict, and figures."""

from __future__ import annotations

from minires.pages import percent, short

from .comparison import Comparison, compare_twins
from .folder import holds_comparison, write_comparison
from .learning import GradientSize
from .metrics import metrics_of, table_of
from .run import Run
from .settings import Settings
from .tracing import first_batch, traced_step
from .verdict import Verdict
from .watching import Watcher

__all__ = [
    "Comparison",
    "GradientSize",
    "Run",
    "Settings",
    "Verdict",
    "Watcher",
    "compare_twins",
    "first_batch",
    "holds_comparison",
    "metrics_of",
    "percent",
    "short",
    "table_of",
    "traced_step",
    "write_comparison",
]
