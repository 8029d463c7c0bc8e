"""What the commands of the lab have in common: the scale, the folder, the page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .refusals import refuse

if TYPE_CHECKING:
    from minires.lab.experiment import Experiment, ScaleName
    from minires.lab.results import Result

Scale = Annotated[
    str,
    typer.Option(help="tiny (it runs), small (effects show, on two cores) or paper (for a GPU)."),
]
Out = Annotated[
    Path | None, typer.Option(help="Folder of the results.", show_default="runs/lab-<scale>")
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


def write_page(folder: Path, file: Path | None = None) -> Path:
    """Write the page of all results in a folder; return where it is."""
    from minires.lab.lab_page import render_lab
    from minires.serialize import atomic_write

    target = folder / "report.html" if file is None else file
    page = render_lab(*_found(folder))
    with atomic_write(target, "w") as opened:
        opened.write(page)
    return target


def write_as_markdown(folder: Path, file: Path) -> Path:
    """Write the same as Markdown, and figures in a folder beside it; return where it is."""
    from minires.lab.lab_markdown import write_markdown

    return write_markdown(*_found(folder), file)[0]


def _found(
    folder: Path,
) -> tuple[dict[str, Result], dict[str, Experiment], list[dict[str, Any]] | None]:
    """Return the results in a folder, all experiments, and the records of the audit."""
    from minires.lab.claims.auditing import read_audit
    from minires.lab.experiments import experiments
    from minires.lab.results import read_result

    known = experiments()
    try:
        found = {name: read_result(folder, name) for name in known}
        audit = read_audit(folder)
    except ValueError as error:
        refuse(error)
    results = {name: result for name, result in found.items() if result is not None}
    if not results:
        refuse(ValueError(f"there are no results in '{folder}'; run: minires lab run --all"))
    return results, known, audit
