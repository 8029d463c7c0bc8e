"""Sweeps: one run for each combination of options, and what they say beside each other."""

from __future__ import annotations

from .grid import Trial, read_grid, trials_of
from .outcome import Outcome, outcome_of, ranked
from .report import write_sweep
from .sweep import run_sweep

__all__ = [
    "Outcome",
    "Trial",
    "outcome_of",
    "ranked",
    "read_grid",
    "run_sweep",
    "trials_of",
    "write_sweep",
]
