"""Where a gradient is wrong, and by how much: in characters, and as a picture."""

from __future__ import annotations

from .picture import as_png
from .text import GLYPHS, HeatMap, as_text, heat_map

__all__ = ["GLYPHS", "HeatMap", "as_png", "as_text", "heat_map"]
