"""B: what a history, from AlexNet to DenseNet, says."""

from __future__ import annotations

from .item import Items

ITEMS = Items()
