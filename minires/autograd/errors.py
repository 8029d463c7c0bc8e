"""The engine's own error."""

from __future__ import annotations


class AutogradError(RuntimeError):
    """A backward pass was asked for that cannot be right."""
