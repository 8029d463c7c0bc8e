"""The engine's own errors."""

from __future__ import annotations


class AutogradError(RuntimeError):
    """A backward pass was asked for that cannot be right."""


class OverwriteError(AutogradError):
    """An op wrote into an array that it was only given to read."""
