"""`minires lr-find`: which learning rate to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .devices import Device, require
from .launchers import require_one_process
from .naming import as_option

if TYPE_CHECKING:
    from minires.training import LRCurve

HELP = (
    "Find a learning rate: train for some steps with rates that rise, and see when the loss falls"
    " fastest.\n\n"
    "The rate that is suggested is where a training may begin; nothing is kept.\n\n"
    "Example:\n\n"
    "\b\n"
    "minires lr-find --model cifar_resnet20 --dataset cifar10\n"
)

_ROWS = 20


def run_lr_find(
    model: Annotated[str, typer.Option(help="A name in minires models.", show_default=False)],
    dataset: Annotated[
        str, typer.Option(help="A name in minires data list, or a path.", show_default=False)
    ],
    recipe: Annotated[
        str | None, typer.Option(help="Whose other options count.", show_default="the data set's")
    ] = None,
    start: Annotated[float, typer.Option(help="The first rate.")] = 1e-5,
    end: Annotated[float, typer.Option(help="The last one.")] = 10.0,
    steps: Annotated[int, typer.Option(help="How many rates are tried.")] = 100,
    batch_size: Annotated[int | None, typer.Option(help="Images of a step.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of all random numbers.")] = None,
    width: Annotated[int | None, typer.Option(help="Channels of the first stage.")] = None,
    size: Annotated[
        int | None,
        typer.Option(help="Side of the square that the network gets.", show_default="the images'"),
    ] = None,
    normalize: Annotated[
        str | None,
        typer.Option(
            help="Whose mean is subtracted: each channel's or each pixel's.",
            show_default="the recipe's",
        ),
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of the data sets.")] = None,
    threads: Annotated[int | None, typer.Option(help="For the kernels.")] = None,
    device: Device = "cpu",
    json: Annotated[bool, typer.Option("--json", help="Print the curve as JSON.")] = False,
) -> None:
    """Carry out the command; its help is `HELP`."""
    require(device)
    require_one_process("start it without mpiexec")

    from minires.training.runs import ConfigError, RunError, configured
    from minires.training.runs.making import rising_rates

    try:
        config = configured(
            model,
            dataset,
            recipe,
            batch_size=batch_size,
            seed=seed,
            model_options=None if width is None else {"width": width},
            size=size,
            normalize=normalize,
            root=None if root is None else str(root),
            threads=threads,
            device=device,
        )
        curve = rising_rates(config, start, end, steps)
    except ValueError as error:
        if isinstance(error, RunError) and not isinstance(error, ConfigError):
            typer.echo(f"minires: {error}", err=True)
            raise typer.Exit(1) from None
        raise typer.BadParameter(as_option(str(error).removeprefix("lr_find: "))) from None
    if json:
        from dataclasses import asdict

        from minires.serialize.json_text import to_json

        typer.echo(to_json({"schema": "minires.lr-find/1", **asdict(curve)}), nl=False)
        return
    _print(curve)


def _print(curve: LRCurve) -> None:
    """Print some of the rates with their losses, and the suggestion."""
    from rich.table import Table

    from .tables import show

    table = Table(box=None, pad_edge=False)
    for column in ("rate", "loss", "smoothed"):
        table.add_column(column, justify="right")
    rows = list(zip(curve.lrs, curve.losses, curve.smoothed, strict=True))
    for rate, loss, smoothed in rows[:: max(1, len(rows) // _ROWS)]:
        table.add_row(f"{rate:.2e}", f"{loss:.4f}", f"{smoothed:.4f}")
    show(table)
    if curve.suggestion is None:
        typer.echo("the loss never fell: no rate is suggested")
    else:
        typer.echo(f"suggested: --lr {curve.suggestion:.2g}")
