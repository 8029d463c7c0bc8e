"""Tables on stdout: in a terminal the columns that fit, elsewhere each row in one line."""

from __future__ import annotations

from typing import Any

import typer


def show(table: Any) -> None:
    """Print what rich can show."""
    from rich.console import Console
    from rich.table import Table

    from minires.models.tables import fitted, text_of

    console = Console(highlight=False)
    if console.is_terminal:
        console.print(fitted(table, console.width) if isinstance(table, Table) else table)
    else:
        typer.echo(text_of(table))
