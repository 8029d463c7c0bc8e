"""`minires data`: the data sets that there are, listed, fetched and verified."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .groups import group
from .tables import show
from .transfers import bars_on_stderr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from minires.data.sources import Source

HELP = "List data sets of images, fetch and verify them."
LIST_HELP = "List the data sets that have a name: what they are, and where their files are."
GET_HELP = (
    "Fetch data sets, each file checked by its published MD5.\n\n"
    "What is there already is not fetched again, and what broke off goes on where it ended.\n\n"
    "Example:\n\n"
    "\b\n"
    "minires data get mnist cifar10\n"
)
VERIFY_HELP = (
    "Check data sets' files by their sums; without a name, of all of which a file is there.\n\n"
    "Of the path of your own images each is decoded, and what is left out is told. The exit code is"
    " 1 if a file is missing, damaged or another one.\n\n"
    "Examples:\n\n"
    "\b\n"
    "minires data verify mnist\n"
    "minires data verify pictures/\n"
)

app = group("data", HELP)

Names = Annotated[
    list[str], typer.Argument(help="Of those in minires data list.", show_default=False)
]
Root = Annotated[
    Path | None,
    typer.Option(
        "--root",
        metavar="FOLDER",
        help="Of all data sets, each in a folder of its own; by default that of MINIRES_DATA, or"
        " data in $MINIRES_HOME or ~/.cache/minires.",
        show_default=False,
    ),
]


@app.command("list", help=LIST_HELP)
def run_list(
    root: Root = None,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Carry out the command; its help is `LIST_HELP`."""
    from minires.data.sources import sources

    folder = _root(root)
    found = [_record(each, folder) for each in sources().values()]
    if json:
        from minires.serialize.json_text import to_json

        typer.echo(
            to_json({"schema": "minires.data.list/1", "root": str(folder), "datasets": found}),
            nl=False,
        )
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("name", no_wrap=True)
    for heading in ("train", "test", "classes", "pixels"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("licence", overflow="fold")
    table.add_column("files", overflow="fold")
    for each in found:
        train, test = (f"{count:,}" for count in each["images"])
        pixels = "x".join(map(str, (each["channels"], *each["image_size"])))
        lossy = ", lossy" * each["lossy"]
        where = "built in" if each["folder"] is None else each["folder"]
        if each["files"] and each["missing"]:
            where = f"in {where}, without {', '.join(each['missing'])}"
        elif not each["present"]:
            where = f"not in {where}"
        if each["parts"]:
            where += f"; fetched in part: {', '.join(each['parts'])}"
        numbers = train, test, str(each["classes"]), pixels
        table.add_row(each["name"], *numbers, each["licence"] + lossy, where)
    show(table)


def _record(source: Source, root: Path) -> dict[str, Any]:
    found = source.found(root)
    missing = [file.name for file in source.files if file not in found]
    folders = sorted({str(path.parent) for path in found.values()})
    return {
        "name": source.name,
        "title": source.title,
        "images": list(source.images),
        "classes": source.classes,
        "channels": source.channels,
        "image_size": list(source.image_size),
        "licence": source.licence,
        "lossy": source.lossy,
        "present": len(found) == len(source.files),
        "files": [file.name for file in found],
        "missing": missing,
        "parts": [each for each in missing if (source.folder(root) / f"{each}.part").exists()],
        "folder": (folders or [str(source.folder(root))])[0] if source.files else None,
    }


@app.command("get", help=GET_HELP)
def run_get(names: Names, root: Root = None) -> None:
    """Carry out the command; its help is `GET_HELP`."""
    folder = _root(root)
    chosen = _found(names)
    with bars_on_stderr(lines=True) as progress:
        paths = [path for source in chosen for path in source.download(folder, progress)]
    for path in paths:
        typer.echo(path)
    for source in chosen:
        if not source.files:
            typer.echo(f"{source.name} is built in", err=True)


@app.command("verify", help=VERIFY_HELP)
def run_verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Of those in minires data list, or a path.", show_default="all that are there"
        ),
    ] = None,
    root: Root = None,
) -> None:
    """Carry out the command; its help is `VERIFY_HELP`."""
    from minires.data.registry import is_path

    folder = _root(root)
    paths = [name for name in names or () if is_path(name)]
    named = [name for name in names or () if name not in paths]
    wrong = False
    for source in _found(named) if names else _there(folder):
        if not source.files:
            typer.echo(f"{source.name}  built in")
        for file, why in source.verify(folder):
            typer.echo(f"{source.name}  {file.name}  {why or 'right'}")
            wrong = wrong or why is not None
    for path in paths:
        try:
            told = "; ".join(_told_of(path))
        except OSError as error:
            told, wrong = str(error), True
        typer.echo(f"{path}  {told}")
    if wrong:
        raise typer.Exit(1)


def _told_of(path: str) -> Iterator[str]:
    """Say what somebody's own images are, once each was decoded, and what is left out of them."""
    from minires.data import ImageFolder, get_dataset
    from minires.data.image_folder import other_names
    from minires.data.split import labels_of

    split = get_dataset(path)
    parts = split.train, split.test
    images = [part for part in parts if isinstance(part, ImageFolder)]
    for part in images:
        for index in range(len(part)):
            part.image(index)
    train, test = map(len, parts)
    yield f"{train:,} images to train on, {test:,} to test with, {split.classes} classes"
    if images and images[0].boxes is None and (others := other_names(images[0].files)):
        yield f"files of other kinds, {len(others):,}, are left out, such as {others[0]!r}"
    seen = {int(label) for part in parts for label in labels_of(part)}
    if without := [name for number, name in enumerate(split.class_names) if number not in seen]:
        yield f"there are no images of {len(without):,} of the classes, such as {without[0]!r}"


def _there(folder: Path) -> list[Source]:
    """Return the data sets of which a file is there, and those that are built in."""
    from minires.data.sources import sources

    return [each for each in sources().values() if each.found(folder) or not each.files]


def _found(names: list[str]) -> list[Source]:
    from minires.data.sources import find_source

    try:
        return [find_source(name) for name in names]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _root(named: Path | None) -> Path:
    from minires.data.sources import data_root

    folder = data_root(named)
    if folder.exists() and not folder.is_dir():
        option = "MINIRES_DATA" if named is None else "--root"
        raise typer.BadParameter(f"{option}: {str(folder)!r} is no folder")
    return folder
