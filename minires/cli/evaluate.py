"""`minires evaluate`: how well finished runs do, by many views of an image, or many networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from .devices import require
from .launchers import require_one_process
from .naming import as_option
from .numbers import numbers
from .refusals import refuse
from .tables import show

if TYPE_CHECKING:
    from minires.training.runs.evaluation import Score

HELP = (
    "Tell how well the networks of finished runs do on the test part.\n\n"
    "Answers to several crops and scales of an image, and those of several networks, are averaged"
    " as probabilities. Choose such options by --part validation: what is chosen by the test part"
    " says little about other images.\n\n"
    "Examples:\n\n"
    "\b\n"
    "minires evaluate runs/r20\n"
    "minires evaluate --run runs/r20 --crops 10\n"
    "minires evaluate --run runs/r50 --scales 224,256,384\n"
    "minires evaluate --ensemble runs/*\n"
)


def run_evaluate(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Folder of a run; with --ensemble, of further ones.", show_default=False
        ),
    ] = None,
    run: Annotated[
        list[Path] | None, typer.Option(help="Folder of a run.", show_default=False)
    ] = None,
    ensemble: Annotated[
        str | None,
        typer.Option(help="Folders of runs that answer together, as runs/*.", show_default=False),
    ] = None,
    crops: Annotated[
        int, typer.Option(help="1, 5 (corners and middle) or 10 (and mirrored) of each image.")
    ] = 1,
    scales: Annotated[
        str,
        typer.Option(help="Lengths of the shorter side, as 224,256.", show_default="the run's"),
    ] = "",
    part: Annotated[str, typer.Option(help="test or validation.")] = "test",
    which: Annotated[str, typer.Option(help="best or last weights.")] = "best",
    dataset: Annotated[
        str | None, typer.Option(help="Where the data set was moved to.", show_default="the run's")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of the data sets.")] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda.", show_default="the run's")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Carry out the command; its help is `HELP`."""
    from minires.training.runs.errors import ConfigError
    from minires.training.runs.evaluation import evaluate_runs

    require_one_process("start it without mpiexec")
    _one_of("--part", part, "test", "validation")
    _one_of("--which", which, "best", "last")
    if device is not None:
        require(device)
    folders = _folders(run or [], ensemble, runs or [])
    _tell_unfinished(folders)
    try:
        with _progress(quiet) as told:
            scores = evaluate_runs(
                folders,
                crops=crops,
                scales=numbers("scales", scales, int, "224,256"),
                which=cast(Any, which),
                part=cast(Any, part),
                dataset=dataset,
                root=None if root is None else str(root),
                device=device,
                told=told,
            )
    except ConfigError as error:
        raise typer.BadParameter(as_option(str(error))) from None
    except ValueError as error:  # a file is damaged, or belongs to something else
        refuse(error)
    _print(scores, part, json)


def _folders(run: Sequence[Path], ensemble: str | None, further: Sequence[Path]) -> list[Path]:
    """Put all runs together; a shell has spread a pattern, or it is done here."""
    if len(run) > 1:
        raise typer.BadParameter("--run names one run; several are named by --ensemble")
    named = list(run)
    if ensemble is not None:
        pattern = Path(ensemble)
        above = Path(pattern.anchor)
        spread = sorted(above.glob(str(pattern.relative_to(above)))) or [pattern]
        # Beside the runs of a sweep there are files.
        folders = [path for path in (*spread, *further) if not path.is_file()]
        left_out = {path: why for path in folders if (why := _why_not(path))}
        if len(left_out) == len(folders):
            left_out = {}  # so that the first one is told as a mistake
        for path, why in left_out.items():
            typer.echo(f"minires: {path} is left out: {why}", err=True)
        named += [path for path in folders if path not in left_out]
    elif not run and len(further) == 1:
        named += further
    elif further:
        raise typer.BadParameter(f"{further[0]}: several runs are named by --ensemble")
    if not named:
        raise typer.BadParameter("the folder of a run is missing, or --ensemble")
    return list(dict.fromkeys(named))


def _why_not(folder: Path) -> str:
    """Say why a folder beside runs has no part in their ensemble; a wrong path is not left out."""
    from minires.training.runs.best import BEST
    from minires.training.runs.config import CONFIG

    if not folder.is_dir() or (folder / BEST).exists():
        return ""
    return f"it has no {BEST} yet" if (folder / CONFIG).exists() else "there is no run in it"


def _tell_unfinished(folders: Sequence[Path]) -> None:
    from minires.training.runs.config import CONFIG
    from minires.training.runs.result import RESULT

    for folder in folders:
        if (folder / CONFIG).exists() and not (folder / RESULT).exists():
            typer.echo(f"minires: the run in {folder} is not finished", err=True)


def _one_of(option: str, value: str, *known: str) -> None:
    if value not in known:
        raise typer.BadParameter(f"{option}: expected {' or '.join(known)}, found {value!r}")


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a bar in a terminal; nothing elsewhere."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    if quiet or not console.is_terminal or console.is_dumb_terminal:
        yield lambda done, total: None
        return
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("images", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _print(scores: Sequence[Score], part: str, json: bool) -> None:
    if json:
        from minires.serialize.json_text import to_json

        rows = [asdict(score) for score in scores]
        typer.echo(
            to_json({"schema": "minires.evaluate/1", "part": part, "scores": rows}), nl=False
        )
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("run", overflow="fold")
    for heading in ("images", f"{part} error", "loss"):
        table.add_column(heading, justify="right")
    for score in scores:
        # As Text: a folder's name is not markup.
        name = Text(score.name)
        table.add_row(name, f"{score.images:,}", f"{score.error:.2%}", f"{score.loss:.4g}")
    show(table)
    if scores[0].lossy_images:
        typer.echo("the images were compressed with loss: results say nothing of the originals")
