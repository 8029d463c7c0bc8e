"""Tracing: see how the gradient travels, take it apart exactly, and prove it."""

from __future__ import annotations

from .trace import Trace, record

__all__ = ["Trace", "record"]
