"""`minires train`: train a network on a data set, and go on after any end."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .devices import Device, require
from .launchers import require_one_process

if TYPE_CHECKING:
    from minires.training.distributed import Communicator

HELP = (
    "Train a network, and keep the run in a folder.\n\n"
    "Every checkpoint is whole at any moment: after a kill, a full disk or a power cut, --resume"
    " goes on, to the same weights to the bit as if nothing had happened. SIGTERM, SIGHUP and"
    " Ctrl-C write a checkpoint first. What is not said comes from the recipe: see"
    " docs/training.md.\n\n"
    "Examples:\n\n"
    "\b\n"
    "minires train --model cifar_resnet20 --dataset cifar10 --epochs 164 --out runs/r20\n"
    "minires train --resume runs/r20\n"
)

# What may be said of a run that is gone on with; all else stands in its config.json.
_FREE = ("dataset", "root", "device", "threads", "workers")


def run_train(
    model: Annotated[
        str | None, typer.Option(help="A name in minires models.", show_default=False)
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="A name in minires data list, or a path.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run.", show_default="runs/<time>-train")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Go on with the run in this folder.", show_default=False),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="he2015-cifar, he2015-imagenet, wrn, preact, mnist or digits.",
            show_default="the data set's",
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="How long to train.")] = None,
    steps: Annotated[int | None, typer.Option(help="How long, in steps, instead.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images of a step.")] = None,
    lr: Annotated[float | None, typer.Option(help="The learning rate.")] = None,
    momentum: Annotated[float | None, typer.Option(help="Of the gradients.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Share taken off weights.")] = None,
    schedule: Annotated[
        str | None, typer.Option(help="constant, steps, cosine or plateau.")
    ] = None,
    label_smoothing: Annotated[float | None, typer.Option(help="Share for all classes.")] = None,
    mixup: Annotated[float | None, typer.Option(help="Alpha of mixed images.")] = None,
    cutout: Annotated[int | None, typer.Option(help="Side of a square taken away.")] = None,
    augmentation: Annotated[
        str | None, typer.Option(help="none, crop, crop-flip or imagenet.")
    ] = None,
    normalize: Annotated[
        str | None, typer.Option(help="By the mean of each channel, or of each pixel.")
    ] = None,
    ema: Annotated[float | None, typer.Option(help="Decay of averaged weights.")] = None,
    clip: Annotated[float | None, typer.Option(help="Largest norm of a gradient.")] = None,
    accumulate: Annotated[int | None, typer.Option(help="Parts of a batch.")] = None,
    checkpoint_blocks: Annotated[
        bool, typer.Option("--checkpoint-blocks", help="Less memory, by computing blocks twice.")
    ] = False,
    val_split: Annotated[
        str | None, typer.Option(help="Share or number of images for validation; 0 for none.")
    ] = None,
    early_stop: Annotated[
        int | None, typer.Option(help="Stop after so many epochs without progress.")
    ] = None,
    precise_bn: Annotated[int | None, typer.Option(help="Batches for final statistics.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of all random numbers.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32 or float64.")] = None,
    width: Annotated[int | None, typer.Option(help="Channels of the first stage.")] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="Begin with a file, a run's folder, or a name in minires weights list."),
    ] = None,
    freeze: Annotated[
        list[str] | None, typer.Option(help="Do not train these parameters, as layer1.*")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of the data sets.")] = None,
    device: Device = "cpu",
    threads: Annotated[int | None, typer.Option(help="For the kernels.")] = None,
    workers: Annotated[int | None, typer.Option(help="That make batches ahead.")] = None,
    checkpoint_steps: Annotated[
        int | None, typer.Option(help="Checkpoints within epochs, after so many steps.")
    ] = None,
    keep: Annotated[int | None, typer.Option(help="Checkpoints that are kept.")] = None,
    half: Annotated[bool, typer.Option("--half", help="Keep the best as float16.")] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write event files, too.")
    ] = False,
    distributed: Annotated[
        bool, typer.Option("--distributed", help="Train with all ranks that mpiexec started.")
    ] = False,
    sync_bn: Annotated[
        bool, typer.Option("--sync-bn", help="Batch statistics over all ranks.")
    ] = False,
    allow_reshard: Annotated[
        bool, typer.Option("--allow-reshard", help="Go on with another number of ranks.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON; progress is on stderr.")
    ] = False,
) -> None:
    """Carry out the command; its help is `HELP`."""
    given = {
        name: value
        for name, value in locals().items()
        if name not in ("out", "resume", "allow_reshard", "quiet", "json", "width", "val_split")
    }
    given |= {"device": device if device != "cpu" else None, "root": root and str(root)}
    for flag in ("half", "tensorboard", "distributed", "sync_bn", "checkpoint_blocks"):
        given[flag] = given[flag] or None
    given |= {"freeze": tuple(freeze) if freeze else None}
    given |= {"val_split": _number("val-split", val_split)}
    given |= {"model_options": None if width is None else {"width": width}}
    require(device)
    if allow_reshard and resume is None:
        raise typer.BadParameter("--allow-reshard: it is for --resume; a new run has no ranks yet")

    from minires.training import DivergedError
    from minires.training.distributed import Alone, DistributedError
    from minires.training.runs import ConfigError, RunError, StoppedError, train

    from .training import print_result, run_watcher

    named = {name: value for name, value in given.items() if value is not None}
    ranks: Communicator = Alone()
    try:
        if resume is None:
            config, folder = _new(named), out or _fresh()
        else:
            config, folder = _gone_on_with(resume, out, named), resume
        if not config.distributed:
            require_one_process(
                "say --distributed to train with all of them"
                if resume is None
                else "the run was begun by one process; go on with it without mpiexec"
            )
        else:
            ranks = _joined(config.threads, config.device)
            config = config.changed(device=getattr(ranks, "device", config.device))
            folder = ranks.tell(folder)
        with run_watcher(quiet or ranks.rank > 0) as watcher:
            result = train(
                config,
                folder,
                resume=resume is not None,
                watcher=watcher,
                communicator=ranks,
                allow_reshard=allow_reshard,
            )
    except (RunError, FileExistsError, DivergedError, DistributedError, StoppedError) as error:
        if isinstance(error, ConfigError):
            raise typer.BadParameter(as_option(str(error))) from None
        if isinstance(error, FileExistsError):
            raise typer.BadParameter(f"--out: {error}") from None
        if ranks.rank > 0:  # rank 0 says it
            raise typer.Exit(getattr(error, "exit_code", 1)) from None
        stopped = isinstance(error, StoppedError)
        how = f"; go on by: {_how_to_go_on(folder, ranks.size)}" if stopped else ""
        typer.echo(f"minires: {error}{how}", err=True)
        raise typer.Exit(getattr(error, "exit_code", 1)) from None
    except OSError:
        if ranks.rank > 0:
            raise typer.Exit(1) from None
        raise
    if ranks.rank == 0:
        print_result(result, folder, json)


def _joined(threads: int | None, device: str) -> Communicator:
    from minires.training.distributed import join

    try:
        return join(threads, device=device)
    except (ImportError, RuntimeError) as error:
        raise typer.BadParameter(f"--distributed: {error}") from None


def _new(named: dict[str, Any]) -> Any:
    from minires.training.runs.recipes import configured

    for name in ("model", "dataset"):
        if name not in named:
            raise typer.BadParameter(f"--{name} is missing; or --resume a run that is there")
    return configured(**named)


def _gone_on_with(resume: Path, out: Path | None, named: dict[str, Any]) -> Any:
    from minires.data.registry import located
    from minires.training.runs import read_config

    odd = [name for name in named if name not in _FREE] + (["out"] if out else [])
    if odd:
        free = ", ".join(f"--{name}" for name in _FREE)
        raise typer.BadParameter(
            f"--{odd[0].replace('_', '-')}: a run is gone on with as it was begun; with --resume"
            f" only {free} may be said"
        )
    try:
        config = read_config(resume)
        if "dataset" in named:
            named["dataset"] = located(named["dataset"])
        return config.changed(**named)
    except FileNotFoundError as error:
        raise typer.BadParameter(f"--resume: {error}") from None


def _how_to_go_on(folder: Path, ranks: int) -> str:
    """Return the command for a shell."""
    command = f"minires train --resume {shlex.quote(str(folder))}"
    return f"mpiexec -n {ranks} {command}" if ranks > 1 else command


def _fresh() -> Path:
    from .folders import fresh_folder

    return fresh_folder("train")


def _number(option: str, text: str | None) -> float | int | None:
    """Return a share or a number of images: 0.1, or 5000."""
    if text is None:
        return None
    try:
        return float(text) if "." in text or "e" in text.lower() else int(text)
    except ValueError:
        raise typer.BadParameter(f"--{option}: expected a number, found {text!r}") from None


def as_option(message: str) -> str:
    """Name an option as the command line does."""
    name, colon, rest = message.partition(": ")
    known = colon and name.replace("_", "").isalpha() and name.islower()
    return f"--{name.replace('_', '-')}: {rest}" if known else message
