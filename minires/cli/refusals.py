"""How a command ends that cannot do what was asked."""

from __future__ import annotations

from typing import NoReturn

import typer


def refuse(error: Exception) -> NoReturn:
    """Tell the error in a sentence, without a traceback, and end with exit code 1."""
    typer.echo(f"minires: {error}", err=True)
    raise typer.Exit(1) from None
