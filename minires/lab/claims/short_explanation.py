"""C: what a short explanation with code says."""

from __future__ import annotations

from .item import Items

ITEMS = Items()
