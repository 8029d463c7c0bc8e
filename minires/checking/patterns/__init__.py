"""What kind of mistake a wrong gradient looks like."""

from __future__ import annotations

from .evidence import Evidence
from .recognize import patterns
from .shapes import explain_shape

__all__ = ["Evidence", "explain_shape", "patterns"]
