"""`minires lr-find`: which learning rate to begin with."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Signature, signature
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .devices import Device, require
from .launchers import require_one_process
from .naming import as_option
from .numbers import number
from .refusals import refuse
from .train import run_train

if TYPE_CHECKING:
    from minires.training import LRCurve

HELP = (
    "Find a learning rate: train for some steps with rates that rise, and see when the loss falls"
    " fastest.\n\n"
    "The rate that is suggested is where a training may begin; nothing is kept.\n\n"
    "Example:\n\n"
    "\b\n"
    "minires lr-find --model cifar_resnet20 --dataset cifar10\n"
    "minires lr-find --model cifar_resnet20 --dataset pictures/ --size 32"
    " --weights cifar_resnet20 --freeze 'conv1.*'\n"
)

_ROWS = 20


# What decides a step is said as to `minires train`, which declares these.
_OF_A_STEP = (
    *("recipe", "seed", "width", "weights", "freeze", "dtype", "root", "val_split", "size"),
    *("normalize", "augmentation", "crop_padding", "crop_padding_mode", "mixup", "cutout"),
    *("batch_size", "momentum", "nesterov", "weight_decay", "label_smoothing"),
    *("threads", "workers"),
)


def _with_options_of_a_step(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command that takes **options have those of `minires train`."""
    own, train = (signature(each, eval_str=True).parameters for each in (command, run_train))
    named = [each for each in own.values() if each.kind is not each.VAR_KEYWORD]
    vars(command)["__signature__"] = Signature([*named, *(train[each] for each in _OF_A_STEP)])
    return command


@_with_options_of_a_step
def run_lr_find(
    model: Annotated[str, typer.Option(help="A name in minires models.", show_default=False)],
    dataset: Annotated[
        str, typer.Option(help="A name in minires data list, or a path.", show_default=False)
    ],
    start: Annotated[float, typer.Option(help="The first rate.")] = 1e-5,
    end: Annotated[float, typer.Option(help="The last one.")] = 10.0,
    steps: Annotated[int, typer.Option(help="How many rates are tried, at least 10.")] = 100,
    device: Device = "cpu",
    json: Annotated[bool, typer.Option("--json", help="Print the curve as JSON.")] = False,
    **options: Any,
) -> None:
    """Carry out the command; its help is `HELP`."""
    require(device)
    require_one_process("start it without mpiexec")

    from minires.training.runs import ConfigError, RunError, configured
    from minires.training.runs.making import rising_rates

    width, freeze = options.pop("width"), options.pop("freeze")
    options["val_split"] = number("val-split", options["val_split"])
    options["freeze"] = tuple(freeze) if freeze else None
    options["model_options"] = None if width is None else {"width": width}
    options["root"] = options["root"] and str(options["root"])
    try:
        config = configured(model, dataset, device=device, **options)
        curve = rising_rates(config, start, end, steps)
    except ValueError as error:
        if isinstance(error, RunError) and not isinstance(error, ConfigError):
            refuse(error)
        raise typer.BadParameter(as_option(str(error).removeprefix("lr_find: "))) from None
    if json:
        from dataclasses import asdict

        from minires.serialize.json_text import to_json

        typer.echo(to_json({"schema": "minires.lr-find/1", **asdict(curve)}), nl=False)
    else:
        _print(curve, steps)
    if curve.suggestion is None:
        typer.echo(
            f"minires: no rate is suggested: from {start:g} to {end:g} the loss did not fall, or by"
            " no more than it differs from batch to batch; widen the range (--start, --end), or"
            " take more --steps",
            err=True,
        )
        raise typer.Exit(1)


def _print(curve: LRCurve, steps: int) -> None:
    """Print some of the rates with their losses, and the suggestion."""
    from rich.table import Table

    from .tables import show

    table = Table(box=None, pad_edge=False)
    for column in ("rate", "loss", "smoothed"):
        table.add_column(column, justify="right")
    rows = list(zip(curve.lrs, curve.losses, curve.smoothed, strict=True))
    shown = rows[:: max(1, len(rows) // _ROWS)]
    for rate, loss, smoothed in shown:
        table.add_row(f"{rate:.2e}", f"{loss:.4f}", f"{smoothed:.4f}")
    show(table)
    told = [f"{len(shown)} of {len(rows)} steps are shown, all of them by --json"]
    if len(rows) < steps:
        told.append(f"the other {steps - len(rows)} were not taken, for the loss had blown up")
    if told[1:] or len(shown) < len(rows):
        typer.echo("; ".join(told))
    if curve.suggestion is not None:
        typer.echo(f"suggested: --lr {curve.suggestion:.2g}")
