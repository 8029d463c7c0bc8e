"""Runs: a training that is asked for once, written down, and gone on with after any end."""

from __future__ import annotations

from .config import RunConfig, read_config, write_config
from .errors import CheckpointError, ConfigError, LogError, RunError
from .loading import load_run
from .metrics_log import EpochLine, Metrics, MetricsLog, StepLine, TestLine, read_metrics
from .recipes import RECIPES, Recipe, configured
from .report import write_report
from .result import Result, read_result
from .run import holds_run, train
from .signals import StoppedError
from .watching import Plan, RunWatcher

__all__ = [
    "RECIPES",
    "CheckpointError",
    "ConfigError",
    "EpochLine",
    "LogError",
    "Metrics",
    "MetricsLog",
    "Plan",
    "Recipe",
    "Result",
    "RunConfig",
    "RunError",
    "RunWatcher",
    "StepLine",
    "StoppedError",
    "TestLine",
    "configured",
    "holds_run",
    "load_run",
    "read_config",
    "read_metrics",
    "read_result",
    "train",
    "write_config",
    "write_report",
]
