"""`minires class verify`: whether assignments are ready to be given out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .refusals import refuse
from .tables import show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from minires.classroom.verify import Count, Verified


def run_verify(
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
