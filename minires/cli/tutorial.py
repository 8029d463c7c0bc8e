"""`minires tutorial`: the tutorials there are, and one of them in JupyterLab."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .refusals import refuse
from .tables import show

if TYPE_CHECKING:
    from minires.tutorials import Tutorial

_DOCUMENT = re.compile(r"\[([^\]]+)\]\(\.\./docs/([^)#]+)[^)]*\)")

# After \b lines stay as they are.
HELP = (
    "List the step-through tutorials, or open one. They come with minires' source.\n\n"
    "With a number, all tutorials are written as notebooks into a folder, where they are yours to"
    " write in, and that one is opened in JupyterLab (extra tutorials). A notebook that is there"
    " already stays as it is, with your answers. Without JupyterLab, tutorials run as scripts: the"
    " list says where each is.\n\n"
    "Examples:\n\n"
    "\b\n"
    "minires tutorial\n"
    "minires tutorial 1\n"
    "minires tutorial 9 --folder ~/residual --no-open\n"
)


def run_tutorial(
    number: Annotated[
        int | None, typer.Argument(metavar="[NUMBER]", help="Which to open.", show_default=False)
    ] = None,
    folder: Annotated[
        Path, typer.Option(help="Where notebooks are written.", file_okay=False)
    ] = Path("minires-tutorials"),
    open_it: Annotated[
        bool, typer.Option("--open/--no-open", help="Open it in JupyterLab, or write it only.")
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """Carry out the command; its help is `HELP`."""
    from minires.tutorials import all_tutorials

    try:
        tutorials = {each.number: each for each in all_tutorials()}
    except FileNotFoundError as error:
        refuse(error)
    if number is None:
        _list(list(tutorials.values()), json)
        return
    if json:
        raise typer.BadParameter("--json prints the list; leave out the number")
    if number not in tutorials:
        raise typer.BadParameter(f"there is no tutorial {number}; there are 1 to {len(tutorials)}")
    for each in tutorials.values():  # all of them, for they refer to each other
        _write(each, folder, tell=each.number == number)
    if open_it:
        _open(folder, tutorials[number])


def _list(tutorials: list[Tutorial], json: bool) -> None:
    from minires.models.tables import plain_table

    if json:
        from minires.serialize.json_text import to_json

        rows = [
            {"number": t.number, "title": t.title, "minutes": t.minutes, "path": str(t.path)}
            for t in tutorials
        ]
        typer.echo(to_json({"schema": "minires.tutorials/1", "tutorials": rows}), nl=False)
        return
    table = plain_table("number", "minutes", "title", "file", words=4, gap=1)
    for each in tutorials:
        table.add_row(str(each.number), str(each.minutes), each.title, _short(each.path))
    show(table)
    typer.echo("Open one: minires tutorial 1", err=True)


def _short(path: Path) -> str:
    """Return a path as it is reached from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _write(tutorial: Tutorial, folder: Path, *, tell: bool) -> None:
    """Write a tutorial as a notebook, if there is none."""
    from minires.tutorials.notebooks import as_notebook

    path = folder / f"{tutorial.name}.ipynb"
    if path.exists():
        if tell:
            typer.echo(f"{path} is there already, and stays as it is", err=True)
        return
    try:
        notebook = as_notebook(tutorial.path)
    except ImportError as error:
        refuse(error)
    import nbformat

    from minires.serialize import atomic_write

    for cell in notebook.cells:
        if cell.cell_type == "markdown":  # JupyterLab shows nothing above the notebooks' folder
            cell.source = _DOCUMENT.sub(r"\1 (`docs/\2` of minires)", cell.source)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, "w") as file:
        nbformat.write(notebook, file)
    if tell:
        typer.echo(path)


def _open(folder: Path, tutorial: Tutorial) -> None:
    if importlib.util.find_spec("jupyterlab") is None:
        refuse(
            ImportError(
                "JupyterLab is not installed: python -m pip install 'minires[tutorials]'; or run it"
                f" as a script: python {_short(tutorial.path)}"
            )
        )
    command = [sys.executable, "-m", "jupyter", "lab", str(folder / f"{tutorial.name}.ipynb")]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # as in a container; without it Jupyter ends at once
    # Ctrl-C is JupyterLab's, which asks whether it is to end.
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        code = subprocess.run(command, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)
    if code:
        refuse(RuntimeError(f"JupyterLab has ended with an error; it was: {' '.join(command[1:])}"))
