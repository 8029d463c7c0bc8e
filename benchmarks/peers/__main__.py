"""Install the peers' environments, and measure the peers beside minires."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from minires.training import machine

from . import PEERS, environments, run_peers

RESULTS = Path(__file__).parents[1] / "results"
app = typer.Typer(add_completion=False, help=__doc__)
_Folder = Annotated[
    Path, typer.Option(help="Folder of the environments; MINIRES_PEERS sets the default.")
]


@app.command()
def install(
    folder: _Folder = environments.FOLDER,
    python: Annotated[str | None, typer.Option(help="A Python 3.11.")] = None,
) -> None:
    """Make the environments that the peers need; those that are there already are kept."""
    console = Console()
    try:
        environments.install(folder, python, lambda line: console.print(line, highlight=False))
    except environments.InstallError as error:
        Console(stderr=True).print(str(error), markup=False, highlight=False)
        raise typer.Exit(1) from None


@app.command()
def run(
    rounds: Annotated[int, typer.Option(help="Interleaved rounds.", min=1)] = 15,
    peer: Annotated[
        list[str] | None,
        typer.Option(help=f"Only this one of {', '.join(p.name for p in PEERS)}; repeatable."),
    ] = None,
    folder: _Folder = environments.FOLDER,
    out: Annotated[Path, typer.Option(help="Folder of the result file.")] = RESULTS,
) -> None:
    """Measure a training step of minires and of the peers, and write the results as JSON."""
    console = Console()
    try:
        with console.status("Starting") as status:
            measured = run_peers(rounds, folder, peer, status.update)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    console.print(_table(measured))
    for name, result in measured["peers"].items():
        if result["status"] == "absent":
            console.print(f"{name}: not installed; run: {result['install']}")
        elif result["status"] == "not measured":
            console.print(f"{name}: not measured: {result['reason']}", markup=False)
        elif not result["losses_agree"]:
            console.print(
                f"{name}: its losses differ from minires's by up to"
                f" {result['largest_loss_difference']:.1g}: it computes something else, and its"
                " times mean nothing"
            )
    today = date.today().isoformat()
    result = {
        "schema": "minires.benchmark/1",
        "date": today,
        "rounds": rounds,
        "environment": machine.environment(),
        "training_step_beside_peers": measured,
    }
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{today}-peers.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    console.print(f"Wrote {path}")


def _table(measured: dict[str, Any]) -> Table:
    title = f"{measured['task']}, batch {measured['batch_size']} ({measured['unit']})"
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for column in ("min.", "median", "CPU", "steps", "MB", "ratio [range]"):
        table.add_column(column, justify="right", no_wrap=True)
    rows = {"minires": measured["minires"], **measured["peers"]}
    for name, result in rows.items():
        if "median" not in result:
            continue
        ratio, peak = result.get("ratio"), result["peak_rss_mb"]
        table.add_row(
            name,
            *(f"{result[key]:,.0f}" for key in ("minimum", "median", "cpu_minimum")),
            str(result["timed_steps"]),
            "" if peak is None else f"{peak:,.0f}",
            f"{ratio['median']:.1f} [{ratio['minimum']:.1f}–{ratio['maximum']:.1f}]"
            if ratio
            else "1",
        )
    return table


if __name__ == "__main__":
    app(prog_name="python -m benchmarks.peers")
