"""`minires class`: for those who teach."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .groups import group
from .refusals import refuse
from .tables import show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from minires.classroom.processes import Runner
    from minires.classroom.results import Submission
    from minires.classroom.verify import Count, Verified

app = group("class", "Assignments, for those who teach.")


@app.command("verify")
def _verify(
    assignments: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ASSIGNMENT]...", help="Names, as a2, or folders."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that come with minires.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Look whether assignments are ready to be given out.

    The starter has no points and says why; the solved file has all. Every known mistake is caught
    by the check that is named for it, and told by its name, also where it is written otherwise;
    every other right solution passes. The exit code is 1 where something has to be mended.
    """
    from minires.classroom.assignment import AssignmentError
    from minires.classroom.shipped import assignment_of, names
    from minires.classroom.source import SourceError
    from minires.classroom.verify import verified

    wanted = names() if everything else assignments
    if not wanted:
        raise typer.BadParameter("name an assignment, or say --all")
    try:
        told = [verified(assignment_of(each)) for each in wanted]
    except (AssignmentError, SourceError) as error:
        refuse(error)
    if json:
        from minires.serialize.json_text import to_json

        typer.echo(to_json(_as_json(told)), nl=False)
    else:
        _print(told)
    if any(each.problems for each in told):
        raise typer.Exit(1)


@app.command("grade")
def _grade(
    assignment: Annotated[str, typer.Argument(help="A name, as a2, or a folder.")],
    submissions: Annotated[
        Path, typer.Argument(help="Folder of what was handed in: folders, .zip or .py files.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("grades"),
    jobs: Annotated[int, typer.Option(min=1, help="How many are graded at a time.")] = 1,
    format: Annotated[
        list[str] | None,
        typer.Option(help="csv, exercism, github, gradescope or junit; as often as need be."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Grade what was handed in, with numbers that nobody has seen before.

    Each check has a process of its own, which as far as the machine allows sees nothing but Python,
    NumPy and the submission; what of this is missing is told. The same command goes on with a
    grading that was broken off.
    """
    from minires.classroom.assignment import AssignmentError
    from minires.classroom.formats import FORMATS, write_results
    from minires.classroom.grading import grade, submissions_in
    from minires.classroom.shipped import assignment_of
    from minires.classroom.source import SourceError

    for each in format or ():
        if each not in (*FORMATS, "csv"):
            raise typer.BadParameter(f"--format: there is no {each!r}; see --help")
    try:
        wanted, paths = assignment_of(assignment), submissions_in(submissions)
        graded = grade(wanted, paths, out, _runner(), jobs, _tell)
    except (AssignmentError, SourceError) as error:
        refuse(error)
    for each in dict.fromkeys(format or ()):
        typer.echo(f"minires: {write_results(graded, out, each)}", err=True)
    if json:
        from minires.serialize.json_text import to_json

        typer.echo(to_json({"submissions": [each.summary() for each in graded]}), nl=False)
    else:
        _print_grades(graded)


def _runner() -> Runner:
    """Return what runs code of people one does not know, and tell what is missing."""
    from minires.classroom.isolation import IsolationError, missing_guards, run_isolated

    try:
        for missing in missing_guards():
            typer.echo(f"minires: {missing}", err=True)
    except IsolationError as error:
        refuse(error)
    return run_isolated


def _tell(submission: Submission) -> None:
    beside = f", {len(submission.incidents)} incidents" if submission.incidents else ""
    typer.echo(f"{submission.id}: {submission.score} of {submission.max_score}{beside}", err=True)


def _print_grades(graded: Sequence[Submission]) -> None:
    from minires.models.tables import plain_table

    table = plain_table("submission", "score", "of", "mistakes", "incidents", gap=2)
    for each in graded:
        mistakes = dict.fromkeys(check.diagnosis for check in each.checks if check.diagnosis)
        row = str(each.score), str(each.max_score), " ".join(mistakes), str(len(each.incidents))
        table.add_row(each.id, *row)
    show(table)


def _as_json(told: Sequence[Verified]) -> dict[str, object]:
    def total(name: str, field: str) -> int:
        return sum(getattr(getattr(each, name), field) for each in told)

    wrongly = total("diagnosis", "total") - total("diagnosis", "right")
    return {
        "known_wrong": {
            "total": total("known_wrong", "total"),
            "caught": total("known_wrong", "right"),
        },
        "known_right": {
            "total": total("known_right", "total"),
            "accepted": total("known_right", "right"),
        },
        "diagnosis": {
            "total": total("diagnosis", "total"),
            "correct": total("diagnosis", "right"),
            "unknown": total("diagnosis", "unknown"),
            "wrong": wrongly - total("diagnosis", "unknown"),
        },
        "assignments": [
            {
                "name": each.name,
                "points": each.points,
                "checks": each.checks,
                "problems": each.problems,
            }
            for each in told
        ],
    }


def _print(told: Sequence[Verified]) -> None:
    from minires.models.tables import plain_table

    table = plain_table(
        "assignment", "points", "checks", "caught", "accepted", "named", "problems", gap=2
    )
    for each in told:
        table.add_row(
            each.name,
            str(each.points),
            str(each.checks),
            _of(each.known_wrong),
            _of(each.known_right),
            _of(each.diagnosis),
            str(len(each.problems)),
        )
    show(table)
    for each in told:
        for problem in each.problems:
            typer.echo(f"{each.name}: {problem}", err=True)


def _of(count: Count) -> str:
    return f"{count.right} of {count.total}" if count.total else "-"
