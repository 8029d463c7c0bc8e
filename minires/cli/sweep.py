"""`minires sweep`: a run for each combination of options, and which one is best in validation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from .launchers import require_one_process
from .tables import show

if TYPE_CHECKING:
    from minires.training.sweeps import Outcome

HELP = (
    "Train a network with every combination of some options.\n\n"
    "The grid is a TOML file: its keys are the options of minires train, and a list has the values"
    " to try. Each combination is a run in a folder of its own. After an interruption the same"
    " command does the rest: finished runs are left alone, and broken ones gone on with. A run that"
    " fails is told, the others go on, and the exit code is 1. The best is chosen by the validation"
    " part; nothing is said of the test part.\n\n"
    "Examples:\n\n"
    "\b\n"
    "minires sweep grid.toml --jobs 2\n"
    "mpiexec -n 9 minires sweep grid.toml --executor mpi\n"
)

_EXECUTORS = ("processes", "mpi")


def run_sweep(
    grid: Annotated[Path, typer.Argument(help="A TOML file.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the runs.", show_default="runs/<name of the grid>"),
    ] = None,
    jobs: Annotated[
        int, typer.Option(help="Runs at a time, which share the processors.", min=1)
    ] = 1,
    executor: Annotated[
        str, typer.Option(help="processes, or mpi for those that mpiexec started.")
    ] = "processes",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the table as JSON; progress is on stderr.")
    ] = False,
) -> None:
    """Carry out the command; its help is `HELP`."""
    from minires.training import sweeps

    if executor not in _EXECUTORS:
        raise typer.BadParameter(
            f"--executor: expected {' or '.join(_EXECUTORS)}, found {executor!r}"
        )
    if executor == "processes":
        require_one_process("say --executor mpi to share the runs out")
    try:
        trials = sweeps.read_grid(grid)
    except OSError as error:
        raise OSError(f"'{grid}' cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    folder = out or Path("runs") / grid.stem
    done = 0

    def told(outcome: Outcome) -> None:
        nonlocal done
        done += 1
        if not quiet:
            typer.echo(f"{done}/{len(trials)} {outcome.name}: {_came_of(outcome)}", err=True)

    try:
        outcomes = sweeps.run_sweep(
            trials,
            folder,
            jobs=jobs,
            executor=cast(Literal["processes", "mpi"], executor),
            told=told,
        )
    except KeyboardInterrupt:
        typer.echo(
            f"minires: stopped; {done} of {len(trials)} runs are done. The same command does the"
            " rest, from the checkpoints that were written",
            err=True,
        )
        raise typer.Exit(130) from None
    except FileExistsError:
        raise typer.BadParameter(f"--out: '{folder}' is a file, and a sweep is a folder") from None
    except (ImportError, RuntimeError) as error:  # MPI is missing, or another launcher's
        raise typer.BadParameter(f"--executor: {error}") from None
    if outcomes is None:
        return  # a rank that trained; rank 0 tells
    files = sweeps.write_sweep(outcomes, folder)
    _print(outcomes, files, json)
    if any(outcome.failure for outcome in outcomes):
        raise typer.Exit(1)


def _came_of(outcome: Outcome) -> str:
    best = outcome.best
    if best is None or best.validation_error is None:
        return f"failed: {outcome.failure}"
    how_long = "finished before" if outcome.was_finished else f"{outcome.seconds:.0f} s"
    return (
        f"validation error {best.validation_error:.2%} after epoch {best.epoch} of"
        f" {len(outcome.epochs)}, {how_long}"
    )


def _print(outcomes: list[Outcome], files: list[Path], json: bool) -> None:
    from minires.training.sweeps import ranked
    from minires.training.sweeps.report import headline, row_of, written
    from minires.training.sweeps.seeds import over_seeds

    rows = [row_of(outcome) for outcome in ranked(outcomes)]
    if json:
        from minires.serialize.json_text import to_json

        means = [
            {
                **{f"option.{name}": value for name, value in each.varied.items()},
                "mean_validation_error": each.mean,
                "standard_deviation": each.scatter,
                "runs": len(each.errors),
                "failures": each.failures,
            }
            for each in over_seeds(outcomes)
        ]
        told = {"schema": "minires.sweep/1", "runs": rows, "over_seeds": means}
        typer.echo(to_json(told), nl=False)
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in ("", *outcomes[0].varied, "validation error", "training error", "epoch", "run"):
        table.add_column(name, justify="left" if name == "run" else "right", overflow="fold")
    for rank, (row, outcome) in enumerate(zip(rows, ranked(outcomes), strict=True), 1):
        cells = [str(rank), *map(written, outcome.varied.values())]
        cells += [_share(row["validation_error"]), _share(row["train_error"])]
        cells += [str(row["best_epoch"] or "–"), outcome.name]
        table.add_row(*map(Text, cells))
    show(table)
    typer.echo(headline(outcomes))
    for file in files:
        typer.echo(file)


def _share(value: Any) -> str:
    return "failed" if value is None else f"{value:.2%}"
