"""Tables of networks: without a frame, and never with half a number."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

# What a column whose words may be broken keeps of the width.
_WORDS = 12


def text_of(shown: Any) -> str:
    """Return what rich shows as text, however wide."""
    from rich.console import Console

    text = io.StringIO()
    Console(file=text, width=1000, color_system=None, legacy_windows=False).print(shown)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def plain_table(*headings: str, words: int = 1, gap: int = 2) -> Table:
    """Return a table without a frame: the first so many columns have words, the others numbers."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap, 0, 0))
    for place, heading in enumerate(headings):
        table.add_column(
            heading,
            justify="left" if place < words else "right",
            overflow="fold",
            no_wrap=place > 0,
        )
    return table


def fitted(table: Table, width: int) -> Table:
    """Leave out as many columns of a plain table, the last ones first, as are too many for a width.

    A column of numbers that was made narrower would show half of them, which look like others.
    """
    between = table.padding[1] + 1
    widths = []
    for column in table.columns:
        longest = max(map(len, map(str, (column.header, *column.cells))))
        widths.append(between + (longest if column.no_wrap else min(longest, _WORDS)))
    while sum(widths) - between > width and len(widths) > 1:
        widths.pop()
        table.columns.pop()
    return table


def mebibytes(size: int) -> str:
    """Tell a number of bytes in MiB."""
    return f"{size / 2**20:,.1f}"


def in_bytes(size: float) -> str:
    """Tell a number of bytes in the largest unit of which it has one.

    Examples
    --------
    >>> in_bytes(960), in_bytes(150_266_880), in_bytes(3 * 2**50)
    ('960 bytes', '143.3 MiB', '3,072.0 TiB')
    """
    if size < 1024:
        return f"{size} bytes"
    power = min(int(math.log2(size)) // 10, 4)
    return f"{size / 1024**power:,.1f} {'KMGT'[power - 1]}iB"
