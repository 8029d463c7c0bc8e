"""`minires trace`: record a training step, and see where its gradient went."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import traces
from .devices import Device

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
    "minires trace --model densenet121 --size 64 --batch 2\n"
    "minires trace --spectrum --out step.trace\n"
)


def run_trace(
    context: typer.Context,
    file: traces.File = None,
    model: traces.Model = "cifar_resnet20",
    vs: traces.Versus = None,
    dataset: traces.Dataset = "digits",
    batch: traces.Batch = 8,
    width: traces.Width = None,
    size: traces.Size = None,
    seed: traces.Seed = 0,
    device: Device = "cpu",
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
            help="Save the trace; of two, each to its own file, by name.", show_default=False
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Carry out the command; its help is `HELP`."""
    from minires.trace.views.table import table_of
    from minires.trace.views.words import only

    for option, path in (("--html", html), ("--out", out)):
        if path is not None and not path.parent.is_dir():
            raise typer.BadParameter(f"{option}: there is no folder {str(path.parent)!r}")
        if path is not None and path.is_dir():
            raise typer.BadParameter(f"{option}: {str(path)!r} is a folder")
    if out is not None and html is not None and out.resolve() == html.resolve():
        raise typer.BadParameter(f"--html and --out are both {str(out)!r}")
    traces.refuse_recording_options(context, file or ())
    wanted = traces.Wanted(
        model, vs, dataset, batch, width, size, seed, device, save, expand, create_graph, spectrum
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
        from minires.serialize.json_text import to_json
        from minires.trace.views.rows import json_of

        typer.echo(to_json(json_of(*found)), nl=False)
        return
    if not written:
        _print(table, hint=html is None)
    for path in written:
        typer.echo(only(path))


def _write(found: list[Trace], html: Path | None, out: Path | None) -> list[Path]:
    """Write what was asked for; return the files."""
    written = []
    if html is not None:
        from minires.trace.views.page import write_page

        with _writable("--html", html):
            write_page(found, html)
        written.append(html)
    if out is not None:
        for trace, path in zip(found, _files_of(found, out), strict=True):
            with _writable("--out", path):
                trace.save(path)
            written.append(path)
    return written


def _files_of(found: list[Trace], out: Path) -> list[Path]:
    """Name a file for each trace, no two the same, all in the folder of `out`."""
    if len(found) == 1:
        return [out]
    # A title may be anything, also a path, or what steers a terminal.
    marks = [re.sub(r"[^\w.-]+", "-", t.records.title)[:80].strip("-.") for t in found]
    # Some systems do not tell capitals from small letters in the names of files.
    if not all(marks) or len({mark.casefold() for mark in marks}) < len(marks):
        marks = ["left", "right"]
    return [out.with_stem(f"{out.stem}-{mark}") for mark in marks]


@contextmanager
def _writable(option: str, path: Path) -> Iterator[None]:
    """Tell of what the system refuses by the name that was asked for, not a temporary one."""
    try:
        yield
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise OSError(f"{option}: cannot write {str(path)!r}: {why}") from None


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
