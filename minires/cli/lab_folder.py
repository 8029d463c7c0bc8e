"""What the commands of the lab have in common: the scale, the folder, the page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from .refusals import refuse

if TYPE_CHECKING:
    from minires.lab.claims.auditing import Record
    from minires.lab.experiment import Experiment, ScaleName
    from minires.lab.results import Result

Scale = Annotated[
    str,
    typer.Option(help="tiny (it runs), small (effects show, on two cores) or paper (for a GPU)."),
]
Out = Annotated[
    Path | None, typer.Option(help="Folder of the results.", show_default="runs/lab-<scale>")
]
Seeds = Annotated[
    int | None,
    typer.Option(
        help="How many; fewer than 3 tell no effect from chance.", min=1, show_default="3"
    ),
]


def require_scale(scale: str) -> ScaleName:
    """Return a scale, if it is one.

    Raises
    ------
    typer.BadParameter
    """
    from minires.lab.experiment import SCALES

    for each in SCALES:
        if scale == each:
            return each
    raise typer.BadParameter(f"--scale: expected {', '.join(SCALES)}; found {scale!r}")


def folder_of(out: Path | None, scale: str) -> Path:
    """Return the folder of the results at a scale."""
    return Path("runs") / f"lab-{scale}" if out is None else out


def interrupted() -> NoReturn:
    """End after a Ctrl-C, and say what it has not cost."""
    typer.echo(
        "minires: stopped; what is done is kept, and the same command does the rest", err=True
    )
    raise typer.Exit(130)


def write_page(folder: Path, scale: ScaleName, file: Path | None = None) -> Path:
    """Write the page of all results in a folder; return where it is."""
    from minires.lab.lab_page import render_lab
    from minires.serialize import atomic_write

    target = folder / "report.html" if file is None else file
    results, known, audit, out_of_date = _found(folder, scale)
    page = render_lab(results, known, audit, out_of_date)
    with atomic_write(target, "w") as opened:
        opened.write(page)
    return target


def write_as_markdown(folder: Path, scale: ScaleName, file: Path) -> Path:
    """Write the same as Markdown, and figures in a folder beside it; return where it is."""
    from minires.lab.lab_markdown import write_markdown

    results, known, audit, out_of_date = _found(folder, scale)
    try:
        return write_markdown(results, known, audit, file, out_of_date)[0]
    except ValueError as error:
        raise typer.BadParameter(f"--markdown: {error}") from None


def _found(
    folder: Path, scale: ScaleName
) -> tuple[dict[str, Result], Mapping[str, Experiment], list[Record] | None, dict[str, str]]:
    """Return the results in a folder, all experiments, the audit, and why results are old."""
    from minires.lab.claims.auditing import out_of_date, read_audit
    from minires.lab.laboratory import Laboratory

    lab = Laboratory(folder, scale)
    try:
        found = {name: lab.result(name) for name in lab.known}
        audit = read_audit(folder)
        why = {record["code"]: out_of_date(record, lab) for record in audit or ()}
    except ValueError as error:
        refuse(error)
    results = {name: result for name, result in found.items() if result is not None}
    if not results:
        refuse(ValueError(f"there are no results in '{folder}'; run: minires lab run --all"))
    why |= {name: lab.out_of_date(result) for name, result in results.items()}
    return results, lab.known, audit, why
