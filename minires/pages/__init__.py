"""Pages of results, each one HTML file without network or script, and their parts."""

from __future__ import annotations

from .charts import Axis, Colour, Curve, Mark, chart
from .markup import Cell, definitions, details, escape, picture, table
from .shell import page
from .wording import percent, short

__all__ = [
    "Axis",
    "Cell",
    "Colour",
    "Curve",
    "Mark",
    "chart",
    "definitions",
    "details",
    "escape",
    "page",
    "percent",
    "picture",
    "short",
    "table",
]
