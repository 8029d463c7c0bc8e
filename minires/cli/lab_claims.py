"""`minires lab claims`: what introductory articles say, put to checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer

from .devices import Device, require
from .lab_folder import Out, Scale, Seeds, folder_of, interrupted, require_scale
from .refusals import refuse
from .tables import show

if TYPE_CHECKING:
    from minires.lab.claims.auditing import Record
    from minires.lab.laboratory import Laboratory

CLAIMS_HELP = (
    "Audit what introductory articles say about residual networks.\n\n"
    "The correct statement of each item is put to a check: a count, a shape error, an equality, a"
    " gradient, a small training. What needs an experiment of the lab reads its result, and runs it"
    " if there is none (not at the scale paper). The verdict is the audit's, on what is said; the"
    " outcome is the check's. Records are kept in claims.json as they come."
)


def run_claims(
    codes: Annotated[
        list[str] | None, typer.Argument(metavar="[CODE]...", help="Such as A17; by default all.")
    ] = None,
    scale: Scale = "small",
    seeds: Seeds = None,
    device: Device = "cpu",
    jobs: Annotated[
        int | None,
        typer.Option(help="Checks at a time.", min=1, show_default="all processors"),
    ] = None,
    out: Out = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print a list as JSON; progress is on stderr.")
    ] = False,
) -> None:
    """Carry out the command; its help is `CLAIMS_HELP`."""
    from minires.lab.laboratory import Laboratory

    require(device)
    lab = Laboratory(
        folder_of(out, scale), require_scale(scale), seeds=seeds, device=device, jobs=jobs
    )
    try:
        records = audited(lab, codes or None, quiet)
    except KeyboardInterrupt:
        interrupted()
    if json:
        from minires.lab.claims.auditing import as_json

        typer.echo(as_json(records), nl=False)
    else:
        _print(records)
    if any(record["outcome"] == "failed" for record in records):
        raise typer.Exit(1)


def audited(
    lab: Laboratory,
    codes: list[str] | None,
    quiet: bool,
    failed: Mapping[str, str] = MappingProxyType({}),
) -> list[Record]:
    """Check claims, tell how it goes, and keep the records as they come.

    Experiments that have `failed` a moment ago, and why, are not run again.
    """
    from minires.lab.claims.auditing import audit, read_audit, write_audit

    from .lab_run import Told

    told = Told(quiet)
    try:
        read_audit(lab.folder)
    except ValueError as error:  # a damaged one, which new records cannot be added to
        refuse(error)

    def keep(record: Record) -> None:
        write_audit([record], lab.folder)
        told.say(f"{record['code']}: {record['outcome']}")

    def before(names: Sequence[str]) -> None:
        if lab.scale == "paper":
            refuse(
                ValueError(
                    f"there is no result of {', '.join(names)} at the scale paper, which takes a"
                    f" GPU hours or days; run: minires lab run {names[0]} --scale paper --device"
                    " cuda"
                )
            )
        told.say(f"to be run first: {', '.join(names)}, which takes {_reckoned(lab, names)}")

    try:
        return audit(lab, codes, keep, told.trial, before=before, failed=failed)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _reckoned(lab: Laboratory, names: Sequence[str]) -> str:
    from minires.devices import threads
    from minires.lab.cost import in_words, slowness

    seconds = sum(lab.known[name].scales[lab.scale].seconds for name in names)
    return f"about {in_words(seconds * slowness() / threads.available())}"


def _print(records: list[Record]) -> None:
    from minires.models.tables import plain_table

    table = plain_table("code", "verdict", "what is said", "outcome", "measured", words=5, gap=2)
    for record in records:
        measured = record["because"] or record["source"]
        table.add_row(
            record["code"], record["verdict"], record["statement"], record["outcome"], measured
        )
    table.columns[2].no_wrap = table.columns[4].no_wrap = False
    show(table)
