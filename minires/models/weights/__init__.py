"""Weights that others trained: their dialects, and where to get them."""

from __future__ import annotations

from .loading import LoadReport, load_weights

__all__ = ["LoadReport", "load_weights"]
