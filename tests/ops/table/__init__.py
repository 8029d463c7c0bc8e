"""The table: for every op a row that draws cases of it. A differentiable op without one fails."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from . import collectives, elementwise, images, places, products, reductions, windows
from .case import Case, Dice

ROWS = elementwise.ROWS | reductions.ROWS | places.ROWS | products.ROWS | windows.ROWS | images.ROWS
ROWS |= collectives.ROWS


@st.composite
def cases(draw: Any, name: str) -> Case:
    """Draw an application of the op in the row `name`."""
    return ROWS[name](Dice(draw))


__all__ = ["ROWS", "Case", "Dice", "cases"]
