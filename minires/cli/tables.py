"""Tables on stdout: in a terminal they fit its width, elsewhere each row is one line."""

from __future__ import annotations

from typing import Any

import typer


def show(table: Any) -> None:
    """Print what rich can show."""
    from rich.console import Console

    from minires.models.by_layer import text_of

    console = Console(highlight=False)
    if console.is_terminal:
        console.print(table)
    else:
        typer.echo(text_of(table))
