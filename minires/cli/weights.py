"""`minires weights`: what is trained already, listed and fetched."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from .groups import group
from .tables import show
from .transfers import bars_on_stderr

HELP = "List weights of trained networks, and fetch them."
LIST_HELP = "List the weights that there are, their licences, and where they are from."
GET_HELP = (
    "Fetch weights, checked by their SHA-256.\n\n"
    "Beside them is written, as JSON, what minires predict needs to know: the network, the names of"
    " the classes, and what is done to an image. What is there already is not fetched again.\n\n"
    "Example:\n\n"
    "\b\n"
    "minires weights get cifar_resnet20 --to .\n"
)

app = group("weights", HELP)


@app.command("list", help=LIST_HELP)
def run_list(
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Carry out the command; its help is `LIST_HELP`."""
    from minires.models.weights.catalogue import entries

    if json:
        from minires.serialize.json_text import to_json

        weights = [entry.model_dump(mode="json", by_alias=True) for entry in entries()]
        typer.echo(to_json({"schema": "minires.weights.list/1", "weights": weights}), nl=False)
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("name", "classes", "licence"):
        table.add_column(column, no_wrap=True)
    table.add_column("from", overflow="fold")
    for entry in entries():
        card = entry.card
        table.add_row(entry.name, str(len(card.classes)), card.licence, card.source)
    show(table)


@app.command("get", help=GET_HELP)
def run_get(
    name: Annotated[str, typer.Argument(help="One of those in minires weights list.")],
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="FOLDER",
            help="Where it goes; by default weights in $MINIRES_HOME or ~/.cache/minires.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Carry out the command; its help is `GET_HELP`."""
    from minires.models.weights.catalogue import find

    try:
        find(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if to is not None and to.exists() and not to.is_dir():
        raise typer.BadParameter(f"--to: {str(to)!r} is no folder")
    path = fetched(name, to)
    typer.echo(path)
    typer.echo(path.with_suffix(".json"))


def fetched(name: str, to: Path | None = None) -> Path:
    """Fetch weights of a name in the catalogue, with a bar; return the path."""
    from minires.models.weights.catalogue import get

    with bars_on_stderr() as progress:
        return get(name, to, progress and partial(progress, name))
