"""Views of a trace, from one layout: in the terminal, as a page, as figures, as a graph."""

from __future__ import annotations
