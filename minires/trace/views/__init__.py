"""Views of a trace: the same rows and arcs as a table, a page, a figure or a graph."""

from __future__ import annotations
