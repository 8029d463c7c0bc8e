"""The audit of what introductory articles say of residual networks."""

from __future__ import annotations

from .audited import audited_items
from .item import Item, Items, Lab

__all__ = ["Item", "Items", "Lab", "audited_items"]
