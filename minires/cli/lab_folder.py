"""What the commands of the lab have in common: the scale, the folder, the page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .refusals import refuse

if TYPE_CHECKING:
    from minires.lab.experiment import ScaleName

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
    from minires.lab.claims.auditing import read_audit
    from minires.lab.experiments import experiments
    from minires.lab.lab_page import render_lab
    from minires.lab.results import read_result
    from minires.serialize import atomic_write

    known = experiments()
    try:
        found = {name: read_result(folder, name) for name in known}
        audit = read_audit(folder)
    except ValueError as error:
        refuse(error)
    results = {name: result for name, result in found.items() if result is not None}
    if not results and audit is None:
        refuse(ValueError(f"there are no results in '{folder}'; run: minires lab run --all"))
    target = folder / "report.html" if file is None else file
    with atomic_write(target, "w") as opened:
        opened.write(render_lab(results, known, audit))
    return target
