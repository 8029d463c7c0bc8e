"""Run the benchmarks, print them, and write a result file."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from . import engine
from .measure import environment

RESULTS = Path(__file__).parent / "results"


def _table(title: str, unit: str, rows: dict[str, dict[str, float]]) -> Table:
    table = Table(title=f"{title} ({unit})", title_justify="left")
    table.add_column("")
    for column in ("minimum", "median", "CPU minimum"):
        table.add_column(column, justify="right")
    for name, times in rows.items():
        table.add_row(name, *(f"{time:.2f}" for time in times.values()))
    return table


def run(
    rounds: Annotated[int, typer.Option(help="Interleaved rounds per benchmark.", min=1)] = 15,
    out: Annotated[Path, typer.Option(help="Folder of the result file.")] = RESULTS,
) -> None:
    """Measure the engine and write the results as JSON."""
    console = Console()
    result: dict[str, Any] = {
        "schema": "minires.benchmark/1",
        "date": date.today().isoformat(),
        "rounds": rounds,
        "environment": environment(),
        "backward_per_block": engine.backward_per_block(rounds),
        "tiny_ops": engine.tiny_ops(rounds),
        "imports": engine.imports(rounds),
        "memory_over_steps": engine.memory_over_steps(),
    }
    blocks = result["backward_per_block"]
    console.print(
        _table("Backward of a residual chain, by blocks", blocks["unit"], blocks["blocks"])
    )
    tiny = result["tiny_ops"]
    console.print(_table("Chain of tiny ops", tiny["unit"], tiny["jobs"]))
    imports = result["imports"]
    console.print(_table("A fresh interpreter", imports["unit"], imports["jobs"]))
    memory = result["memory_over_steps"]
    console.print(
        f"Memory after every {memory['steps']} steps, garbage collector off, in bytes: "
        + ", ".join(f"{reading:,}" for reading in memory["bytes"])
    )
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{result['date']}-engine.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    console.print(f"Wrote {path}")


if __name__ == "__main__":
    typer.run(run)
