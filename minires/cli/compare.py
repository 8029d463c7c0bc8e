"""`minires compare`: train plain and residual twins, and see the difference."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .devices import Device, require
from .numbers import numbers

# Each paragraph in one line: the terminal decides where to break it.
HELP = (
    "Train residual networks beside their plain twins, and see the difference.\n\n"
    "For each depth two networks are trained that differ in nothing but their shortcuts. It ends"
    " with a table, a verdict drawn from the numbers, and a report to open in a browser.\n\n"
    "Ctrl-C stops it, and keeps the networks that are finished."
)


def run_compare(
    depths: Annotated[
        str, typer.Option(help="Numbers of layers, each 6n + 2, separated by commas.")
    ] = "8,20,56",
    epochs: Annotated[int, typer.Option(help="How often each network sees every image.")] = 12,
    dataset: Annotated[
        str, typer.Option(help="What to learn: a name in minires data list, or a path.")
    ] = "digits",
    width: Annotated[int, typer.Option(help="Channels of the first stage.")] = 8,
    seed: Annotated[int, typer.Option(help="For the weights and the order of the images.")] = 0,
    device: Device = "cpu",
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the results.", show_default="runs/<time>-compare"),
    ] = None,
    half: Annotated[
        bool, typer.Option("--half", help="Keep the weights as float16, in half the space.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the table as JSON; progress is on stderr.")
    ] = False,
) -> None:
    """Carry out the command; its help is `HELP`."""
    from minires.lab import Comparison, Settings, table_of, write_comparison
    from minires.serialize.json_text import to_json

    from .folders import prepared_folder
    from .interrupts import postponed_interrupts
    from .progress import watcher_on_stderr
    from .results import print_results

    require(device)
    try:
        settings = Settings(
            numbers("depths", depths, int, "8,20,56"), epochs, dataset, width, seed, device
        )
        comparison = Comparison(settings)
        _ = comparison.split  # a data set that cannot be read is found out before all else
    except ValueError as error:
        raise typer.BadParameter(f"--{error}") from None

    with prepared_folder(out, "compare") as folder:
        interrupted = False
        try:
            with watcher_on_stderr(quiet) as watcher:
                comparison.train(watcher)
        except KeyboardInterrupt:
            interrupted = True
        if not comparison.runs:
            typer.echo("minires: stopped before a network was finished; nothing is kept", err=True)
            raise typer.Exit(130)
        # From here on it is seconds, and half of the files would be of no use.
        with postponed_interrupts() as late:
            files = write_comparison(comparison, folder, half)
            if json:
                typer.echo(to_json(table_of(comparison)), nl=False)
            else:
                print_results(comparison, files)
    if interrupted:
        missing = ", ".join(f"{twin}-{depth}" for depth, twin in comparison.missing)
        kept = ", ".join(run.name for run in comparison.runs)
        typer.echo(f"minires: stopped; kept: {kept}; not finished: {missing}", err=True)
    if interrupted or late:
        raise typer.Exit(130)
