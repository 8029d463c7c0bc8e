"""Weights that others trained: their dialects, and where to get them."""

from __future__ import annotations

from .loading import LoadReport, load_weights
from .trained import Pretrained, pretrained

__all__ = ["LoadReport", "Pretrained", "load_weights", "pretrained"]
