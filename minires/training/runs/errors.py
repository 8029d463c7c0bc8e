"""What may be wrong with a run; each is told in one sentence."""

from __future__ import annotations

__all__ = ["CheckpointError", "ConfigError", "LogError", "RunError"]


class RunError(ValueError):
    """Something is wrong with what a run was asked to do, or with its files."""


class ConfigError(RunError):
    """An option has a value that makes no sense; the message names it, and says what would do."""


class CheckpointError(RunError):
    """A checkpoint is damaged, or belongs to something else; nothing was changed."""


class LogError(RunError):
    """A run's log is damaged, or does not belong to its checkpoint; nothing was changed."""
