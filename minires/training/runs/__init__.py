"""Runs: a training that is asked for once, written down, and gone on with after any end."""

from __future__ import annotations

from .config import ConfigError, RunConfig, read_config, write_config
from .metrics_log import EpochLine, Metrics, MetricsLog, StepLine, TestLine, read_metrics
from .report import write_report

__all__ = [
    "ConfigError",
    "EpochLine",
    "Metrics",
    "MetricsLog",
    "RunConfig",
    "StepLine",
    "TestLine",
    "read_config",
    "read_metrics",
    "write_config",
    "write_report",
]
