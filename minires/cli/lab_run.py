"""`minires lab run`: carry out experiments, and say what came of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from .devices import Device, require
from .lab_folder import Out, Scale, Seeds, folder_of, interrupted, require_scale, write_page
from .tables import show

if TYPE_CHECKING:
    from minires.lab.claims.auditing import Record
    from minires.lab.laboratory import Trial
    from minires.lab.results import Result

RUN_HELP = (
    "Run experiments, and judge their claims by rules that were written beforehand.\n\n"
    "Each trial, a network and a seed, is kept when it is done: after an interruption the same"
    " command does the rest. One that fails is told, the others go on, and the exit code is 1. An"
    " outcome that contradicts a paper is no failure."
)

Jobs = Annotated[
    int | None,
    typer.Option(help="Trials at a time, which share the processors.", min=1, show_default="all"),
]


def run_run(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[EXPERIMENT]...", help="Names, as minires lab lists them."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All experiments, and then the audit of claims.")
    ] = False,
    scale: Scale = "small",
    seeds: Seeds = None,
    device: Device = "cpu",
    jobs: Jobs = None,
    out: Out = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print outcomes as JSON; progress is on stderr.")
    ] = False,
) -> None:
    """Carry out the command; its help is `RUN_HELP`."""
    from minires.lab.experiments import experiments, find_experiment
    from minires.lab.laboratory import Laboratory

    require(device)
    if everything == bool(names):
        raise typer.BadParameter("name an experiment (minires lab lists them), or say --all")
    try:
        wanted = (
            list(experiments()) if everything else [find_experiment(n).name for n in names or ()]
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    lab = Laboratory(
        folder_of(out, scale), require_scale(scale), seeds=seeds, device=device, jobs=jobs
    )
    wanted = list(dict.fromkeys(wanted))
    told = Told(quiet, lab.missing(wanted))
    records: list[Record] = []
    try:
        results = lab.run(wanted, told.trial, told.result)
        if everything:
            from .lab_claims import audited

            records = audited(lab, None, quiet, _failed(results))
    except KeyboardInterrupt:
        interrupted()
    if json:
        from minires.serialize.json_text import to_json

        rows = [
            {
                "experiment": name,
                "outcome": result.outcome,
                "claims": result.claims,
                "seconds": result.seconds,
                "failures": result.failures,
            }
            for name, result in results.items()
        ]
        told_all = {"schema": "minires.lab.run/1", "scale": scale, "results": rows}
        typer.echo(to_json({**told_all, "claims": records}), nl=False)
    else:
        _print(list(results.values()))
    for result in results.values():
        for failure in result.failures:
            where = f"{failure['condition']}, seed {failure['seed']}: " * bool(failure["condition"])
            typer.echo(f"minires: {result.experiment}: {where}{failure['failure']}", err=True)
    failed = [record for record in records if record["outcome"] == "failed"]
    for record in failed:
        typer.echo(f"minires: claim {record['code']}: {record['because']}", err=True)
    # The page is last: what another result there lacks must not hide what was measured.
    page = write_page(lab.folder, lab.scale)
    if not json:
        typer.echo(page)
    if failed or _failed(results):
        raise typer.Exit(1)


def _failed(results: Mapping[str, Result]) -> dict[str, str]:
    return {
        name: result.failures[0]["failure"] for name, result in results.items() if result.failures
    }


class Told:
    """Tells on stderr how it goes, a line for each trial."""

    def __init__(self, quiet: bool, trials: int = 0) -> None:
        self.quiet, self.trials, self.done = quiet, trials, 0

    def trial(self, trial: Trial) -> None:
        """Tell that a trial is done."""
        self.done += 1
        place = f"{self.done}/{self.trials} " if self.trials else ""
        came_of = f"failed: {trial.failure}" if trial.failure else f"{trial.seconds:.0f} s"
        self.say(f"{place}{trial.experiment}: {trial.condition}, seed {trial.seed}: {came_of}")

    def result(self, result: Result) -> None:
        """Tell what came of an experiment."""
        self.say(f"{result.experiment}: {result.outcome}")

    def say(self, text: str) -> None:
        """Tell something, unless nothing is to be told."""
        if not self.quiet:
            typer.echo(text, err=True)


def _print(results: list[Result]) -> None:
    from minires.models.tables import plain_table

    table = plain_table("experiment", "outcome", "claim", "measured", words=4, gap=2)
    for result in results:
        if not result.claims:
            table.add_row(result.experiment, result.outcome, "", "")
        for claim in result.claims:
            table.add_row(result.experiment, claim["outcome"], claim["claim"], claim["because"])
    for column in table.columns[2:]:
        column.no_wrap = False
    show(table)
