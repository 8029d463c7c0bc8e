"""`minires assignment`: for those who learn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .assignment_shown import print_submission
from .groups import group
from .refusals import refuse
from .tables import show

if TYPE_CHECKING:
    from minires.classroom.release import Handed

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
                "points": each.points + each.settings.hidden_points,
                "checks": len(each.checks),
            }
            for each in found
        ]
        typer.echo(to_json({"assignments": told}), nl=False)
        return
    from minires.models.tables import plain_table

    table = plain_table("assignment", "minutes", "points", "checks", "about", gap=2)
    table.columns[0].no_wrap = True  # a name is typed
    table.columns[-1].justify, table.columns[-1].no_wrap = "left", False
    for each in found:
        points = each.points + each.settings.hidden_points
        numbers = (each.settings.minutes, points, len(each.checks))
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
    typer.echo(f"then: minires assignment watch {folder}", err=True)


@app.command("check")
def _check(
    folder: Annotated[Path, _FOLDER] = Path(),
    json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Check what is written so far. The exit code is 1 where a check is not passed, else 0."""
    given = _handed(folder)
    with _refusing():
        submission = given.checked()
    if json:
        from dataclasses import asdict

        from minires.serialize.json_text import to_json

        told = {"score": submission.score, "max": submission.max_score}
        checks = [{**asdict(check), "passed": check.passed} for check in submission.checks]
        typer.echo(to_json({"id": submission.id, **told, "checks": checks}), nl=False)
    else:
        print_submission(submission, given.sheet.settings.hidden_points)
    if any(check.status in ("failed", "skipped") for check in submission.checks):
        raise typer.Exit(1)


@app.command("hint")
def _hint(
    check: Annotated[
        str, typer.Argument(metavar="[CHECK]", help="By default the first that fails.")
    ] = "",
    folder: Annotated[Path, _FOLDER] = Path(),
    level: Annotated[int, typer.Option(min=1, max=3, help="From a question to nearly all.")] = 1,
) -> None:
    """Tell a hint: 1 is a question, 3 all but the answer.

    If it is known which mistake was made, the first hint is on that.
    """
    if folder == Path() and _is_started(Path(check)):
        check, folder = "", Path(check)
    handed = _handed(folder)
    if check and check not in handed.sheet.checks:
        raise typer.BadParameter(
            f"there is no check {check!r}; there are {', '.join(handed.sheet.checks)}"
        )
    mistake = None
    if not check or level == 1:
        with _refusing():
            failed = [each for each in handed.checked().checks if each.status == "failed"]
        if not check and not failed:
            typer.echo("minires: no check fails", err=True)
            return
        check = check or failed[0].name
        [mistake] = [each.diagnosis for each in failed if each.name == check] or [None]
    typer.echo(f"{check}: {handed.sheet.checks[check].title}", err=True)
    typer.echo(handed.hint(check, level, mistake))


@app.command("watch")
def _watch(
    folder: Annotated[Path, _FOLDER] = Path(),
    manual_run: Annotated[
        bool, typer.Option("--manual-run", help="Check when r is pressed, not after each change.")
    ] = False,
) -> None:
    """Check what is written after each change, and show the first check that fails.

    What a change cannot have affected is not run again. Keys: n next, r run, h hint, l list,
    c check all, x reset the file to its starter, q quit.
    """
    from .assignment_watch import watch

    with _refusing():
        watch(_handed(folder), manual_run)


@app.command("submit")
def _submit(
    folder: Annotated[Path, _FOLDER] = Path(),
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.zip", help="To write.", show_default="the assignment's name"),
    ] = None,
) -> None:
    """Pack what is to be handed in: a zip that is the same whenever it is made of the same files.

    It has the files that students write in, and a manifest: their checksums, the versions of what
    they ran with, and the points that they had here, which do not count.
    """
    from minires.classroom.handing_in import hand_in

    handed = _handed(folder)
    sheet = handed.sheet
    out = out or Path(f"{sheet.name}.zip")
    if out.suffix != ".zip":
        raise typer.BadParameter(f"--out: '{out}' does not end in .zip")
    with _refusing():
        before = out.read_bytes() if out.is_file() else None
        submission = hand_in(handed, out)
    if before not in (None, out.read_bytes()):
        typer.echo(f"minires: '{out}' was there already, with other contents: replaced", err=True)
    if handed.untouched():
        typer.echo("minires: nothing is written yet: all is as it was given out", err=True)
    for name in handed.changed():
        typer.echo(
            f"minires: '{folder / name}' is not as it was given out. Grading does not use it, but"
            " checks here may be wrong: start the assignment anew, in another folder, and copy your"
            " files into that",
            err=True,
        )
    hidden = sheet.settings.hidden_points
    later = f"{hidden} more at grading, which counts" if hidden else "grading counts"
    points = f"{submission.score} of {submission.max_score} points here; {later}"
    typer.echo(f"{out} has {', '.join(sheet.files)}: {points}")


def _is_started(folder: Path) -> bool:
    from minires.classroom.release import SHEET

    return (folder / SHEET).is_dir()


def _handed(folder: Path) -> Handed:
    from minires.classroom.release import handed

    with _refusing():
        return handed(folder)


@contextmanager
def _refusing() -> Iterator[None]:
    """Tell what is wrong with an assignment, such as that what is to be read is not recorded."""
    from minires.classroom.assignment import AssignmentError

    try:
        yield
    except AssignmentError as error:
        refuse(error)
