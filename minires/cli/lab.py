"""`minires lab`: the experiments, what they cost here, and what came of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .lab_claims import CLAIMS_HELP, run_claims
from .lab_folder import Out, Scale, folder_of, require_scale
from .lab_run import RUN_HELP, run_run
from .refusals import refuse
from .tables import show

if TYPE_CHECKING:
    from minires.lab.experiment import Experiment
    from minires.lab.laboratory import Laboratory

app = typer.Typer(
    name="lab",
    help=(
        "Re-run the classic claims about residual learning, and judge them.\n\n"
        "Alone it lists the experiments: what is claimed and by whom, how long it takes on this"
        " machine, and what came of it.\n\n"
        "Examples:\n\n"
        "\b\n"
        "minires lab run degradation\n"
        "minires lab run --all --scale small\n"
        "minires lab report\n"
        "minires lab claims\n"
    ),
)


@app.callback(invoke_without_command=True)
def _list(
    context: typer.Context,
    scale: Scale = "small",
    out: Out = None,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    if context.invoked_subcommand is not None:
        for name in ("scale", "out", "json"):
            source = context.get_parameter_source(name)
            if source is not None and source.name == "COMMANDLINE":
                command = context.invoked_subcommand
                raise typer.BadParameter(
                    f"--{name} stands before {command!r}, which would not hear of it; write:"
                    f" minires lab {command} ... --{name}"
                )
        return
    from minires.devices import threads
    from minires.lab.cost import slowness
    from minires.lab.experiments import experiments
    from minires.lab.laboratory import Laboratory

    lab = Laboratory(folder_of(out, scale), require_scale(scale))
    factor = slowness() / threads.available()
    try:
        rows = [_row(each, lab, factor) for each in experiments().values()]
    except ValueError as error:
        refuse(error)
    if json:
        from minires.serialize.json_text import to_json

        typer.echo(
            to_json({"schema": "minires.lab.list/1", "scale": scale, "experiments": rows}), nl=False
        )
    else:
        _print(rows)


def _row(experiment: Experiment, lab: Laboratory, factor: float) -> dict[str, Any]:
    seconds = experiment.scales[lab.scale].seconds * factor
    result = lab.result(experiment.name)
    status: str = "not run" if result is None else result.outcome
    if result is not None and (why := lab.out_of_date(result)):
        status += f", {why}"
    if result is not None and result.failures and result.outcome != "failed":
        status += ", failed since"
    return {
        "name": experiment.name,
        "title": experiment.title,
        "claims": [
            {"claim": claim.statement, "source": claim.source, "rule": claim.rule.text}
            for claim in experiment.claims
        ],
        "seconds": round(seconds, 1),
        "status": status,
    }


def _print(rows: list[dict[str, Any]]) -> None:
    from minires.lab.cost import in_words
    from minires.models.tables import plain_table

    table = plain_table("experiment", "here", "status", "claim", "source", words=5, gap=2)
    table.columns[1].justify = "right"
    for row in rows:
        table.add_row(
            row["name"],
            in_words(row["seconds"]),
            row["status"],
            row["title"],
            row["claims"][0]["source"].partition(";")[0],
        )
    table.columns[3].no_wrap = table.columns[4].no_wrap = False
    show(table)


@app.command("report")
def _report(
    scale: Scale = "small",
    out: Out = None,
    html: Annotated[
        Path | None, typer.Option(help="Where to write it.", show_default="<out>/report.html")
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(help="Write Markdown, NAME.md, and figures into NAME beside it."),
    ] = None,
) -> None:
    """Write one page of all results that are there: claim, published, measured, outcome, figure."""
    from .lab_folder import write_as_markdown, write_page

    folder, known = folder_of(out, scale), require_scale(scale)
    if markdown is not None:
        typer.echo(write_as_markdown(folder, known, markdown))
    if html is not None or markdown is None:
        typer.echo(write_page(folder, known, html))


app.command("run", help=RUN_HELP)(run_run)
app.command("claims", help=CLAIMS_HELP)(run_claims)
