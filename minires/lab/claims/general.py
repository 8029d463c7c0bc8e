"""A: what a general introduction to residual networks says."""

from __future__ import annotations

from .general_learning import ITEMS as LEARNING
from .general_networks import ITEMS as NETWORKS
from .item import Items

ITEMS = Items(
    sorted({**NETWORKS, **LEARNING}.items(), key=lambda item: int(item[0].removeprefix("A")))
)
