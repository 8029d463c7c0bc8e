"""D: what a longer explanation with numerical examples says."""

from __future__ import annotations

from .item import Items

ITEMS = Items()
