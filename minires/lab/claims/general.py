"""A: what a general introduction to residual networks says."""

from __future__ import annotations

from .item import Items

ITEMS = Items()
