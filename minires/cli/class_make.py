"""`minires class new`, `release` and `gradescope-zip`: assignments made, and given out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .refusals import refuse

_ASSIGNMENT = typer.Argument(help="A name, as a2, or a folder.")


def run_new(
    name: Annotated[str, typer.Argument(help="What it is called, as residual-101.")],
    to: Annotated[
        Path | None, typer.Option(help="The folder to make.", show_default="its name")
    ] = None,
) -> None:
    """Make the folder of a new assignment: a small one that works, to be changed."""
    from minires.classroom.assignment import AssignmentError
    from minires.classroom.new_folder import new_assignment

    try:
        folder = new_assignment(name, to or Path(name))
    except AssignmentError as error:
        refuse(error)
    typer.echo(f"{folder / 'assignment.toml'} is where to begin")
    typer.echo(f"then: minires class verify {folder}", err=True)


def run_release(
    assignment: Annotated[str, _ASSIGNMENT],
    to: Annotated[
        Path | None, typer.Option(help="The folder to make.", show_default="NAME-release")
    ] = None,
    roster: Annotated[
        Path | None, typer.Option(help="CSV with the columns id, name, email: for --variants.")
    ] = None,
    variants: Annotated[
        bool, typer.Option("--variants", help="A folder for each student, with numbers of its own.")
    ] = False,
) -> None:
    """Make what students get, in students/, and what grading needs, in grader/.

    The grader's part holds the solutions: it is not to be given out.
    """
    from minires.classroom.assignment import AssignmentError
    from minires.classroom.bundle import opened
    from minires.classroom.classes.csv_files import TableError
    from minires.classroom.classes.roster import read_roster
    from minires.classroom.releases import make_release
    from minires.classroom.source import SourceError

    if variants != (roster is not None):
        raise typer.BadParameter("--variants and --roster go together: one folder for each student")
    try:
        people = read_roster(roster) if roster else None
        with opened(assignment) as wanted:
            folder = to or Path(f"{wanted.name}-release")
            made = make_release(wanted, folder, people)
    except (AssignmentError, SourceError, TableError) as error:
        refuse(error)
    what = f"{len(made)} folders, one for each student" if people else f"{made[0]}, for students"
    typer.echo(f"{folder / 'students' if people else ''}{': ' if people else ''}{what}")
    typer.echo(
        f"{folder / 'grader'}, for: minires class grade DIR --assignment {folder / 'grader'}"
    )


def run_gradescope_zip(
    assignment: Annotated[str, _ASSIGNMENT],
    to: Annotated[
        Path | None, typer.Option(help="The file to write.", show_default="NAME-gradescope.zip")
    ] = None,
    wheel: Annotated[
        Path | None,
        typer.Option(help="A wheel of minires to install there.", show_default="asks pip for it"),
    ] = None,
) -> None:
    """Make the zip that Gradescope wants as an autograder."""
    from minires.classroom.assignment import AssignmentError
    from minires.classroom.bundle import opened
    from minires.classroom.gradescope_zip import write_gradescope_zip

    try:
        with opened(assignment) as wanted:
            path = to or Path(f"{wanted.name}-gradescope.zip")
            typer.echo(write_gradescope_zip(wanted, path, wheel))
    except AssignmentError as error:
        refuse(error)
