"""`minires class report`: what a grading says of a class."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .refusals import refuse
from .tables import show

if TYPE_CHECKING:
    from minires.classroom.classes.class_report import ClassReport


def run_report(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of results.")],
    html: Annotated[Path | None, typer.Option(help="Write it as a page.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Tell which mistake is how frequent, how each check did, incidents, and what is much alike."""
    from minires.classroom.assignment import AssignmentError
    from minires.classroom.classes.asked import reported_again
    from minires.classroom.classes.csv_files import TableError
    from minires.classroom.source import SourceError

    try:
        report = reported_again(out)
    except (AssignmentError, SourceError, TableError, ValueError) as error:
        refuse(error)
    if html:
        from minires.classroom.classes.class_page import page_of
        from minires.serialize.atomic import atomic_write

        with atomic_write(html, "w") as file:
            file.write(page_of(report))
        typer.echo(f"minires: {html}", err=True)
    if json:
        from minires.serialize.json_text import to_json

        typer.echo(to_json(report.summary()), nl=False)
    else:
        _print(report)


def _print(report: ClassReport) -> None:
    from minires.classroom.classes.class_report import ABOUT_SIMILARITY, MOST_PAIRS
    from minires.models.tables import plain_table

    told = report.summary()
    typer.echo(
        f"{told['assignment']}: {told['submissions']} submissions, mean {told['mean']}, median"
        f" {told['median']} of {told['max']}\n"
    )
    for id, count, says in report.mistakes:
        typer.echo(f"{count:>4}  {id}: {says}")
    table = plain_table("check", "passed", "failed", "skipped", "by hand", "discrimination", gap=2)
    for item in report.items:
        counts = (item.passed, item.failed, item.skipped, item.by_hand)
        tells = "-" if item.discrimination is None else f"{item.discrimination:.2f}"
        table.add_row(item.name, *map(str, counts), tells)
    typer.echo()
    show(table)
    for each in report.submissions:
        for fact in each.incidents:
            typer.echo(f"incident: {each.id}: {fact!r}")
    for pair in (report.pairs or ())[:MOST_PAIRS]:
        typer.echo(f"alike: {pair.first} and {pair.second}, {pair.share:.0%}, {pair.lines} lines")
    if report.pairs:
        if len(report.pairs) > MOST_PAIRS:
            typer.echo(f"and {len(report.pairs) - MOST_PAIRS} pairs more")
        typer.echo(ABOUT_SIMILARITY)
    for said in (*report.notes, *report.guards):
        typer.echo(f"minires: {said}", err=True)
