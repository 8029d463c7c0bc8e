"""A bar on stderr, where somebody sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


@contextmanager
def opened_bar(console: Console) -> Iterator[Progress | None]:
    """Open a bar over the whole width inside the block, and leave nothing of it behind.

    Yields
    ------
    Progress or None
        Its tasks have a field ``news``, for what stands behind the bar. None where there is no
        terminal: a bar in a file is no use to anybody.
    """
    if not console.is_terminal or console.is_dumb_terminal:
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[news]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True, expand=True) as progress:
        yield progress
