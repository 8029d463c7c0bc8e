"""`minires lab claims`: what introductory articles say, put to checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .lab_folder import Out, Scale, folder_of, require_scale
from .tables import show

if TYPE_CHECKING:
    from minires.lab.laboratory import Laboratory

CLAIMS_HELP = (
    "Audit what introductory articles say about residual networks.\n\n"
    "The correct statement of each item is put to a check: a count, a shape error, an equality, a"
    " gradient, a small training. What needs an experiment of the lab reads its result, and runs it"
    " if there is none. The verdict is the audit's, on what is said; the outcome is the check's."
)


def run_claims(
    codes: Annotated[
        list[str] | None, typer.Argument(metavar="[CODE]...", help="Such as A17; by default all.")
    ] = None,
    scale: Scale = "small",
    out: Out = None,
    jobs: Annotated[
        int | None,
        typer.Option(help="Checks at a time.", min=1, show_default="all processors"),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print a list as JSON; progress is on stderr.")
    ] = False,
) -> None:
    """Carry out the command; its help is `CLAIMS_HELP`."""
    from minires.lab.laboratory import Laboratory

    lab = Laboratory(folder_of(out, scale), require_scale(scale), jobs=jobs)
    try:
        records = audited(lab, codes or None, quiet)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if json:
        from minires.lab.claims.auditing import as_json

        typer.echo(as_json(records), nl=False)
    else:
        _print(records)
    if any(record["outcome"] == "failed" for record in records):
        raise typer.Exit(1)


def audited(lab: Laboratory, codes: list[str] | None, quiet: bool) -> list[dict[str, Any]]:
    """Check claims, tell how it goes, and keep the records if all were checked."""
    from minires.lab.claims.auditing import audit, write_audit

    from .lab_run import Told

    told = Told(quiet)
    records = audit(
        lab, codes, lambda each: told.say(f"{each['code']}: {each['outcome']}"), told.trial
    )
    if codes is None:
        write_audit(records, lab.folder)
    return records


def _print(records: list[dict[str, Any]]) -> None:
    from minires.models.tables import plain_table

    table = plain_table("code", "verdict", "what is said", "outcome", "measured", words=5, gap=2)
    for record in records:
        measured = record["because"] or record["source"]
        table.add_row(
            record["code"], record["verdict"], record["statement"], record["outcome"], measured
        )
    table.columns[2].no_wrap = table.columns[4].no_wrap = False
    show(table)
