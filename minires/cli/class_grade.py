"""`minires class grade` and `regrade`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .refusals import refuse
from .tables import show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from minires.classroom.classes.asked import Asked
    from minires.classroom.classes.class_report import ClassReport
    from minires.classroom.results import Submission
    from minires.classroom.running.processes import Runner

_FORMATS = typer.Option(
    help="canvas, classroom50, csv, exercism, github, gradescope, html, junit or moodle; as often"
    " as need be."
)
_JOBS = typer.Option(min=1, help="How many are graded at a time.")
_JSON = typer.Option("--json", help="Print the results as JSON.")
_GRADEBOOK = typer.Option(help="What Canvas or Moodle exported, to be filled in.")


def run_grade(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Folder of what was handed in: folders, .zip or .py files."
        ),
    ],
    assignment: Annotated[
        str | None,
        typer.Option(
            help="A name, as a2, a folder, or the grader's part of a release.",
            show_default="what was handed in says",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("grades"),
    jobs: Annotated[int, _JOBS] = 1,
    format: Annotated[list[str] | None, _FORMATS] = None,
    json: Annotated[bool, _JSON] = False,
    roster: Annotated[
        Path | None,
        typer.Option(help="CSV of the class: id, name, email; also group, section, due."),
    ] = None,
    due: Annotated[str | None, typer.Option(help="Deadline, as 2026-11-30T23:59+01:00.")] = None,
    late: Annotated[
        str | None, typer.Option(help="What lateness costs, as '10%/day, 3 days'.")
    ] = None,
    submitted: Annotated[
        Path | None,
        typer.Option(
            help="CSV of when work was handed in: id, time.", show_default="the files' times"
        ),
    ] = None,
    gradebook: Annotated[Path | None, _GRADEBOOK] = None,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="Call submissions by pseudonyms.")
    ] = False,
) -> None:
    """Grade what was handed in, with numbers that nobody has seen before.

    Each check has a process of its own, which as far as the machine allows sees nothing but Python,
    NumPy and the submission; what of this is missing is told. The same command goes on with a
    grading that was broken off.

    What is handed in late loses points beside the score, never instead of it.
    """
    from minires.classroom.assignment import AssignmentError
    from minires.classroom.classes.asked import Asked
    from minires.classroom.submitted import assignment_named_in, submissions_in

    try:
        asked = Asked(
            folder=str(folder.absolute()),
            assignment=_whole(assignment or assignment_named_in(submissions_in(folder, out))),
            roster=_path(roster),
            submitted=_path(submitted),
            due=due,
            late=late,
            anonymous=anonymous,
        )
    except AssignmentError as error:
        refuse(error)
    _graded(asked, out, jobs, format, json, gradebook)


def run_regrade(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of results.")],
    marks: Annotated[
        Path | None,
        typer.Option(help="CSV of points for written parts: id, check, points. It is kept."),
    ] = None,
    jobs: Annotated[int, _JOBS] = 1,
    format: Annotated[list[str] | None, _FORMATS] = None,
    json: Annotated[bool, _JSON] = False,
    gradebook: Annotated[Path | None, _GRADEBOOK] = None,
) -> None:
    """Grade again what has changed, with the same numbers: submissions, or the assignment."""
    from minires.classroom.assignment import AssignmentError
    from minires.classroom.classes.asked import asked_for
    from minires.classroom.grading import read_record

    try:
        asked = asked_for(read_record(out), out)
    except AssignmentError as error:
        refuse(error)
    _graded(asked, out, jobs, format, json, gradebook, marks, again=True)


def _graded(
    asked: Asked,
    out: Path,
    jobs: int,
    formats: Sequence[str] | None,
    json: bool,
    gradebook: Path | None,
    marks: Path | None = None,
    *,
    again: bool = False,
) -> None:
    from minires.classroom.assignment import AssignmentError
    from minires.classroom.bundle import opened
    from minires.classroom.classes.asked import class_report_of
    from minires.classroom.classes.csv_files import TableError
    from minires.classroom.classes.marks import keep_marks, with_marks
    from minires.classroom.grading import grade, grading_in, read_record
    from minires.classroom.source import SourceError
    from minires.classroom.submitted import id_of, not_looked_at, submissions_in

    try:
        from minires.classroom.running.isolation import IsolationError
    except ImportError:  # of what only POSIX has
        refuse(RuntimeError("submissions of others are graded on Linux, in a container if need be"))
    wanted = list(dict.fromkeys(formats or ()))
    _require(wanted, gradebook)
    try:
        paths = submissions_in(Path(asked.folder), but=out)
        people = asked.class_list(out)
        # By what results are called: the order of names would tell whose a pseudonym is.
        paths.sort(key=lambda path: people.name_of(id_of(path)))
        if people.asks_for_times:
            people.times_of(paths)
        _require_one_of_classroom50(wanted, len(paths))
    except ValueError as error:
        refuse(error)
    for name in not_looked_at(Path(asked.folder)):
        typer.echo(f"minires: {name!r} is not graded: no folder, .zip or .py file", err=True)
    try:
        runner, guards = _runner()
        with opened(asked.assignment) as assignment, grading_in(out):
            graded = grade(
                *(assignment, paths, out, runner, jobs, _tell),
                name_of=people.name_of,
                guards=guards,
                asked=asked.for_record(),
                again=again,
            )
            if marks is not None:
                keep_marks(marks, out, graded)
            graded = with_marks(out, graded)
            compared = assignment if "html" in wanted else None
            report = class_report_of(read_record(out), graded, people, paths, compared)
        for note in report.notes:
            typer.echo(f"minires: {note}", err=True)
        _write(report, out, wanted, gradebook)
    except (AssignmentError, SourceError, TableError, IsolationError) as error:
        refuse(error)
    if json:
        from minires.serialize.json_text import to_json

        typer.echo(to_json(_as_json(report)), nl=False)
    else:
        _print_grades(report)


def _require(formats: Sequence[str], gradebook: Path | None) -> None:
    from minires.classroom.classes.csv_files import TableError
    from minires.classroom.classes.gradebooks import GRADEBOOKS, require_exported
    from minires.classroom.formats import CLASS_FORMATS, FORMATS

    for each in formats:
        if each not in (*FORMATS, *CLASS_FORMATS, *GRADEBOOKS, "classroom50"):
            raise typer.BadParameter(f"--format: there is no {each!r}; see --help")
    if gradebook:
        books = [each for each in formats if each in GRADEBOOKS]
        if len(books) != 1:
            raise typer.BadParameter("--gradebook goes with --format canvas or --format moodle")
        try:
            require_exported(gradebook, books[0])
        except TableError as error:
            refuse(error)


def _require_one_of_classroom50(formats: Sequence[str], submissions: int) -> None:
    import os

    from minires.classroom.formats import require_service

    if "classroom50" in formats:
        require_service(os.environ, submissions)


def _runner() -> tuple[Runner, list[str]]:
    """Return what runs code of people one does not know; tell what is missing, and return it."""
    from minires.classroom.running.isolation import missing_guards, run_isolated, trying_twice

    guards = missing_guards()
    for missing in guards:
        typer.echo(f"minires: {missing}", err=True)
    return trying_twice(run_isolated), guards


def _write(report: ClassReport, out: Path, formats: Sequence[str], gradebook: Path | None) -> None:
    from minires.classroom.classes.gradebooks import GRADEBOOKS
    from minires.classroom.formats import write_results

    for each in formats:
        exported = gradebook if each in GRADEBOOKS else None
        path, notes = write_results(report, out, each, gradebook=exported)
        for said in (*notes, path):
            typer.echo(f"minires: {said}", err=True)


def _tell(submission: Submission) -> None:
    beside = f", {len(submission.incidents)} incidents" if submission.incidents else ""
    typer.echo(f"{submission.id}: {submission.score} of {submission.max_score}{beside}", err=True)


def _as_json(report: ClassReport) -> dict[str, object]:
    told: dict[str, object] = {
        "assignment": report.assignment,
        "guards": list(report.guards),
        "submissions": [each.summary() for each in report.submissions],
    }
    if any(each.late or each.shown.name or not each.submission for each in report.grades):
        told["grades"] = [each.summary() for each in report.grades]
    return told


def _print_grades(report: ClassReport) -> None:
    from rich.text import Text

    from minires.models.tables import plain_table

    late = any(each.late for each in report.grades)
    more = ["late", "final"] if late else []
    table = plain_table("submission", "score", "of", *more, "mistakes", "incidents", gap=2)
    for each in report.grades:
        if each.submission is None:
            table.add_row(Text(each.shown.id), "0", "-", *["-"] * len(more), "not handed in", "-")
            continue
        checks = each.submission.checks
        mistakes = dict.fromkeys(check.diagnosis for check in checks if check.diagnosis)
        cost = [f"{-each.late.points_off or 0:g}", f"{each.final:g}"] if each.late else []
        score, most = str(each.score), str(each.submission.max_score)
        beside = " ".join(mistakes), str(len(each.submission.incidents))
        table.add_row(Text(each.shown.id), score, most, *cost, *beside)
    show(table)


def _whole(assignment: str) -> str:
    """Return a path whole, which is to be found from elsewhere; a name as it is.

    A student's folder may lie there that is called as the assignment is.
    """
    path = Path(assignment)
    of_one = any((path / name).is_file() for name in ("assignment.toml", "bundle.json"))
    return str(path.absolute()) if of_one or path.suffix == ".zip" else assignment


def _path(path: Path | None) -> str | None:
    return str(path.absolute()) if path else None
