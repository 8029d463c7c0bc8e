"""`minires trace`: record a training step, and see where its gradient went."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import traces

if TYPE_CHECKING:
    from minires.trace import Trace

# Each paragraph in one line, which the terminal breaks; after \b lines stay as they are.
HELP = (
    "Record one training step, and see where its gradient went, shortcut by shortcut.\n\n"
    "With --vs the step of a second network stands beside it: the same seed, the same batch. Images"
    " and classes are those of the data set. A trace that was saved is shown instead if its FILE is"
    " given.\n\n"
    "Examples:\n\n"
    "\b\n"
    "minires trace --vs cifar_plain20\n"
    "minires trace --model cifar_resnet56 --vs cifar_plain56 --save thumbs --html trace.html\n"
    "minires trace --spectrum --out step.trace\n"
)


def run_trace(
    file: traces.File = None,
    model: traces.Model = "cifar_resnet20",
    vs: traces.Versus = None,
    dataset: traces.Dataset = "digits",
    batch: traces.Batch = 8,
    width: traces.Width = 16,
    seed: traces.Seed = 0,
    save: traces.Save = "summary",
    expand: traces.Expand = None,
    create_graph: traces.CreateGraph = False,
    spectrum: traces.Spectrum = False,
    open_blocks: Annotated[
        str | None,
        typer.Option(
            "--open",
            help="Blocks to show op by op: layer1.0, layer2.*, or * for all.",
            show_default=False,
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Write the page to look at in a browser.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Save the trace; with --vs two files, by the networks' names.", show_default=False
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Carry out the command; its help is `HELP`."""
    from minires.trace.views.table import table_of

    for option, path in (("--html", html), ("--out", out)):
        if path is not None and not path.parent.is_dir():
            raise typer.BadParameter(f"{option}: there is no folder {str(path.parent)!r}")
        if path is not None and path.is_dir():
            raise typer.BadParameter(f"{option}: {str(path)!r} is a folder")
    wanted = traces.Wanted(
        model, vs, dataset, batch, width, seed, save, expand, create_graph, spectrum
    )
    found = traces.traces_for(file or (), wanted)
    try:
        table = table_of(
            *found, expand=open_blocks.replace(",", " ").split() if open_blocks else False
        )
    except KeyError as error:
        raise typer.BadParameter(f"--open: {error.args[0]}") from None
    written = _write(found, html, out)
    if json:
        from minires.lab import to_json
        from minires.trace.views.rows import json_of

        typer.echo(to_json(json_of(*found)), nl=False)
        return
    if not written:
        _print(table, hint=html is None)
    for path in written:
        typer.echo(path)


def _write(found: list[Trace], html: Path | None, out: Path | None) -> list[Path]:
    """Write what was asked for; return the files."""
    written = []
    if html is not None:
        from minires.trace.views.page import write_page

        write_page(found, html)
        written.append(html)
    if out is not None:
        names = [out]
        if len(found) > 1:
            names = [out.with_stem(f"{out.stem}-{trace.records.title}") for trace in found]
        for trace, name in zip(found, names, strict=True):
            trace.save(name)
            written.append(name)
    return written


def _print(table: object, hint: bool) -> None:
    """Print the table, in colour where that can be seen."""
    from rich.console import Console

    console = Console(highlight=False)
    console.print(table)
    if hint and console.is_terminal:
        console.print(
            "\nTo look at it in a browser: --html trace.html.  Step by step: minires step ...",
            style="dim",
        )
