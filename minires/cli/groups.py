"""Commands that have commands of their own."""

from __future__ import annotations

import typer


def group(name: str, text: str) -> typer.Typer:
    """Return a command that needs one of its own: alone it prints its help, with exit code 2."""
    app = typer.Typer(name=name, help=text)

    @app.callback(invoke_without_command=True)
    def alone(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())
            raise typer.Exit(2)

    return app
