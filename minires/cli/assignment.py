"""`minires assignment`: for those who learn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .groups import group
from .refusals import refuse
from .tables import show

if TYPE_CHECKING:
    from minires.classroom.release import Handed
    from minires.classroom.results import GradedCheck, Submission

app = group(
    "assignment", "Assignments, for those who learn: write a part, and be told what is wrong."
)

_FOLDER = typer.Argument(metavar="[FOLDER]", help="Of an assignment that was started.")


@app.command("list")
def _list(
    json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List the assignments that there are."""
    from minires.classroom.shipped import names, sheet_of

    found = [sheet_of(name) for name in names()]
    if json:
        from minires.serialize.json_text import to_json

        told = [
            {
                "name": each.name,
                "title": each.settings.title,
                "minutes": each.settings.minutes,
                "points": each.points,
                "checks": len(each.checks),
            }
            for each in found
        ]
        typer.echo(to_json({"assignments": told}), nl=False)
        return
    from minires.models.tables import plain_table

    table = plain_table("assignment", "minutes", "points", "checks", "about", gap=2)
    table.columns[-1].justify = "left"
    for each in found:
        numbers = (each.settings.minutes, each.points, len(each.checks))
        table.add_row(each.name, *map(str, numbers), each.settings.title)
    show(table)


@app.command("start")
def _start(
    assignment: Annotated[str, typer.Argument(help="A name in the list, or its beginning: a2.")],
    to: Annotated[
        Path | None,
        typer.Option(help="The folder to make.", show_default="what was named"),
    ] = None,
) -> None:
    """Make a folder with the file to write in, the handout, and what checks need."""
    from minires.classroom.assignment import AssignmentError
    from minires.classroom.shipped import start
    from minires.classroom.source import SourceError

    folder = to or Path(Path(assignment).name)
    try:
        wanted = start(assignment, folder)
    except (AssignmentError, SourceError) as error:
        refuse(error)
    [first, *more] = (str(folder / name) for name in wanted.files)
    yours = f"{first} and {len(more)} more are" if more else f"{first} is"
    typer.echo(f"{folder / 'handout.md'} says what to do, {yours} yours")
    typer.echo(f"then: minires assignment check {folder}", err=True)


@app.command("check")
def _check(
    folder: Annotated[Path, _FOLDER] = Path(),
    json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Check what is written so far. The exit code is 1 where a check is not passed, else 0."""
    from minires.classroom.assignment import AssignmentError

    try:
        submission = _handed(folder).checked()
    except AssignmentError as error:  # what is to be read cannot be recorded
        refuse(error)
    if json:
        from dataclasses import asdict

        from minires.serialize.json_text import to_json

        told = {"score": submission.score, "max": submission.max_score}
        checks = [{**asdict(check), "passed": check.passed} for check in submission.checks]
        typer.echo(to_json({"id": submission.id, **told, "checks": checks}), nl=False)
    else:
        _print(submission)
    if any(check.status in ("failed", "skipped") for check in submission.checks):
        raise typer.Exit(1)


@app.command("hint")
def _hint(
    check: Annotated[str, typer.Argument(help="Of which check, by its name.")],
    folder: Annotated[Path, _FOLDER] = Path(),
    level: Annotated[int, typer.Option(min=1, max=3, help="From a question to nearly all.")] = 1,
) -> None:
    """Tell a hint: 1 is a question, 3 all but the answer."""
    sheet = _handed(folder).sheet
    if check not in sheet.checks:
        raise typer.BadParameter(
            f"there is no check {check!r}; there are {', '.join(sheet.checks)}"
        )
    typer.echo(sheet.checks[check].hints[level - 1])


def _handed(folder: Path) -> Handed:
    from minires.classroom.assignment import AssignmentError
    from minires.classroom.release import handed

    try:
        return handed(folder)
    except AssignmentError as error:
        refuse(error)


def _print(submission: Submission) -> None:
    """Print a line for each check, and below the first that fails what is wrong with it."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    marks = {
        "passed": ("ok", "green"),
        "failed": ("wrong", "bold red"),
        "skipped": ("-", "dim"),
        "unread": ("unread", "cyan"),
    }
    width = max(len(check.name) for check in submission.checks)
    for check in submission.checks:
        mark, style = marks[check.status]
        points = f"{check.points:>3}/{check.max_points}"
        line = Text(f"{mark:<6}", style=style)
        line.append(f"{points:<7}{check.name:<{width}}  {check.title}", style="default")
        console.print(line)
        for said in _said(check):
            console.print(Text(f"{'':13}{said}"))
    console.print(f"{submission.score} of {submission.max_score} points")


def _said(check: GradedCheck) -> list[str]:
    if check.status != "failed":
        return []
    lines = check.message.split("\n")
    if check.output.strip():
        lines += ["printed:", *check.output.strip().split("\n")[:10]]
    return lines
