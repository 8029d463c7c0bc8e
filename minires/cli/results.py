"""The outcome of a comparison, in the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from minires.lab import Comparison, GradientSize, percent, short

if TYPE_CHECKING:
    from rich.table import Table

_STYLES = {"plain": "dark_orange3", "residual": "dodger_blue2"}


def print_results(comparison: Comparison, files: Sequence[Path]) -> None:
    """Print the table, the verdict, and where the files are, on stdout.

    Lines are broken to fit a terminal; elsewhere each sentence stays in one line.
    """
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    width = console.width if console.is_terminal else 10_000
    verdict = comparison.verdict
    diverged = [f"{run.name}: {run.diverged}" for run in comparison.runs if run.diverged]

    console.print()
    console.print(_table(comparison))
    console.print(Text("gradient norm: at the first step / over the last epoch (median)", "dim"))
    console.print()
    console.print(Text(textwrap.fill(verdict.headline, width), "bold"))
    lossy = [f"data set: {comparison.dataset}"] if comparison.split.lossy else []
    for sentence in (*verdict.details, *diverged, *lossy):
        console.print(Text(textwrap.fill(f"- {sentence}", width, subsequent_indent="  ")))
    console.print()
    for label, file in zip(("report", "picture", "metrics", "weights"), files, strict=True):
        console.print(Text(f"{label:<8} {file}"))


def _table(comparison: Comparison) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("depth", justify="right", no_wrap=True)
    table.add_column("twin", no_wrap=True)
    for heading in (
        "parameters",
        "training\nerror",
        "test\nerror",
        "gradient norm\nfirst layer",
        "gradient norm\nlast layer",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for number, run in enumerate(comparison.runs):
        following = comparison.runs[number + 1 : number + 2]
        table.add_row(
            str(run.depth),
            Text(run.twin, style=_STYLES[run.twin]),
            f"{run.parameters:,}",
            percent(run.final_train_error),
            "" if run.diverged else percent(run.final_test_error),
            _two(run.gradient_size(0)),
            _two(run.gradient_size(-1)),
            end_section=bool(following) and following[0].depth != run.depth,
        )
    return table


def _two(size: GradientSize | None) -> str:
    return "" if size is None else f"{short(size.first_step, 2)} / {short(size.last_epoch, 2)}"
