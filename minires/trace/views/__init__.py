"""What shows a trace: in the terminal, as a page, as a figure, as a file."""

from __future__ import annotations
