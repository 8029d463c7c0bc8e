"""`minires train`: train a network on a data set, and go on after any end."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .devices import require
from .launchers import require_one_process
from .naming import as_option
from .numbers import number, numbers

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


_RECIPE = "the recipe's"


def _option(panel: str, help: str, default: str | bool = False) -> Any:
    """Return an option in a panel of the help, which tells what counts where it is not said."""
    return typer.Option(help=help, show_default=default, rich_help_panel=panel)


def _flag(panel: str, name: str, help: str) -> Any:
    return typer.Option(name, help=help, rich_help_panel=panel)


def run_train(
    model: Annotated[
        str | None,
        _option("Run", "A name in minires models, or a depth of a family: cifar_resnet8."),
    ] = None,
    dataset: Annotated[
        str | None,
        _option("Run", "A name in minires data list, or a path: a folder, a .zip or a .npz."),
    ] = None,
    out: Annotated[Path | None, _option("Run", "Folder of the run.", "runs/<time>-train")] = None,
    resume: Annotated[Path | None, _option("Run", "Go on with the run in this folder.")] = None,
    recipe: Annotated[
        str | None,
        _option(
            "Run",
            "Where all comes from that is not said: he2015-cifar, he2015-imagenet, wrn, preact,"
            " mnist or digits.",
            "the data set's",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        _option("Run", "How often all images are trained on, 1 or more.", _RECIPE),
    ] = None,
    steps: Annotated[
        int | None, _option("Run", "How long to train, in steps instead of epochs.", _RECIPE)
    ] = None,
    seed: Annotated[
        int | None,
        _option("Run", "Decides all random numbers: weights, order, augmentation, split.", "0"),
    ] = None,
    width: Annotated[
        int | None, _option("Network", "Channels of the first stage.", "the network's")
    ] = None,
    weights: Annotated[
        str | None,
        _option(
            "Network",
            "Begin with a file, a run's folder, or a name in minires weights list.",
            "drawn by the seed",
        ),
    ] = None,
    freeze: Annotated[
        list[str] | None,
        _option("Network", "Do not train the parameters of these names, as layer1.*", "none"),
    ] = None,
    dtype: Annotated[
        str | None, _option("Network", "What is computed in: float32 or float64.", "float32")
    ] = None,
    root: Annotated[
        Path | None, _option("Data", "Folder of the data sets that have a name.", "MINIRES_DATA")
    ] = None,
    val_split: Annotated[
        str | None,
        _option(
            "Data",
            "What is kept of the training images for validation: a share, as 0.1, or a number, as"
            " 5000; 0 for none.",
            _RECIPE,
        ),
    ] = None,
    size: Annotated[
        int | None,
        _option(
            "Data",
            "Side of the square that the network gets: images are resized by their shorter side,"
            " and cut.",
            "the images', or 224 with imagenet",
        ),
    ] = None,
    normalize: Annotated[
        str | None,
        _option("Data", "Whose mean is subtracted: each channel's or each pixel's.", _RECIPE),
    ] = None,
    augmentation: Annotated[
        str | None,
        _option("Data", "How images are varied: none, crop, crop-flip or imagenet.", _RECIPE),
    ] = None,
    crop_padding: Annotated[
        int | None,
        _option("Data", "Pixels of the border that crop and crop-flip put around.", _RECIPE),
    ] = None,
    crop_padding_mode: Annotated[
        str | None, _option("Data", "What is in it: constant (zeros) or reflect.", _RECIPE)
    ] = None,
    mixup: Annotated[
        float | None,
        _option("Data", "Alpha by which two images are mixed, as 0.2; 0 for none.", "0"),
    ] = None,
    cutout: Annotated[
        int | None,
        _option("Data", "Side of a square that is blotted out of an image; 0 for none.", "0"),
    ] = None,
    batch_size: Annotated[
        int | None, _option("Optimisation", "Images of a step, over all ranks.", _RECIPE)
    ] = None,
    accumulate: Annotated[
        int | None,
        _option("Optimisation", "In how many parts a batch is computed, to save memory.", "1"),
    ] = None,
    checkpoint_blocks: Annotated[
        bool,
        _flag("Optimisation", "--checkpoint-blocks", "Compute blocks twice, to save more memory."),
    ] = False,
    lr: Annotated[
        float | None, _option("Optimisation", "The learning rate, above 0.", _RECIPE)
    ] = None,
    momentum: Annotated[
        float | None,
        _option(
            "Optimisation", "How much of the last step's direction is kept, 0 to below 1.", _RECIPE
        ),
    ] = None,
    nesterov: Annotated[
        bool | None,
        _option("Optimisation", "Whether the momentum is Nesterov's.", _RECIPE),
    ] = None,
    weight_decay: Annotated[
        float | None,
        _option(
            "Optimisation", "This times the weights is added to their gradients, 0 up.", _RECIPE
        ),
    ] = None,
    schedule: Annotated[
        str | None,
        _option("Optimisation", "How the rate falls: constant, steps, cosine, plateau.", _RECIPE),
    ] = None,
    milestones: Annotated[
        str | None,
        _option(
            "Optimisation",
            "When it does by steps, in shares of the training, as 0.5,0.75.",
            _RECIPE,
        ),
    ] = None,
    gamma: Annotated[
        float | None,
        _option("Optimisation", "What it is then multiplied by, between 0 and 1.", _RECIPE),
    ] = None,
    patience: Annotated[
        int | None,
        _option("Optimisation", "Epochs without progress that are a plateau.", _RECIPE),
    ] = None,
    warm_up_lr: Annotated[
        float | None, _option("Optimisation", "The rate to begin with, at most --lr.", _RECIPE)
    ] = None,
    warm_up_steps: Annotated[
        int | None, _option("Optimisation", "Steps that it is kept for.", _RECIPE)
    ] = None,
    warm_up_error: Annotated[
        float | None,
        _option("Optimisation", "Or until the training error is below this, as 0.8.", _RECIPE),
    ] = None,
    label_smoothing: Annotated[
        float | None,
        _option(
            "Optimisation", "Share of a label that goes to all classes, 0 to below 1.", _RECIPE
        ),
    ] = None,
    ema: Annotated[
        float | None,
        _option(
            "Averages and limits",
            "Measure and keep averaged weights, of this decay, as 0.999.",
            "no average",
        ),
    ] = None,
    clip: Annotated[
        float | None,
        _option("Averages and limits", "Longer gradients are shortened to this norm.", "no limit"),
    ] = None,
    early_stop: Annotated[
        int | None,
        _option(
            "Averages and limits",
            "End after so many epochs without better validation: a lower error, or the same and a"
            " lower loss.",
            "never",
        ),
    ] = None,
    precise_bn: Annotated[
        int | None,
        _option(
            "Averages and limits",
            "Compute the best weights' running statistics anew from so many batches; 0 leaves"
            " them.",
            "0",
        ),
    ] = None,
    device: Annotated[
        str | None,
        _option("Machine", "Where to compute: cpu, or cuda (the first GPU), or cuda:1, ...", "cpu"),
    ] = None,
    threads: Annotated[
        int | None, _option("Machine", "Threads that compute.", "all processors")
    ] = None,
    workers: Annotated[
        int | None,
        _option("Machine", "Further threads, which make the next batches meanwhile.", "0"),
    ] = None,
    distributed: Annotated[
        bool, _flag("Machine", "--distributed", "Train with all ranks that mpiexec started.")
    ] = False,
    sync_bn: Annotated[
        bool, _flag("Machine", "--sync-bn", "Batch statistics over all ranks.")
    ] = False,
    allow_reshard: Annotated[
        bool, _flag("Machine", "--allow-reshard", "Go on with another number of ranks.")
    ] = False,
    checkpoint_steps: Annotated[
        int | None,
        _option("Output", "Write checkpoints within epochs, too, every so many steps.", "none"),
    ] = None,
    keep: Annotated[
        int | None, _option("Output", "How many of the last checkpoints are kept.", "1")
    ] = None,
    half: Annotated[
        bool, _flag("Output", "--half", "Keep the best weights as float16, half as large.")
    ] = False,
    tensorboard: Annotated[
        bool, _flag("Output", "--tensorboard", "Write event files, too.")
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Show no progress.", rich_help_panel="Output"),
    ] = False,
    json: Annotated[
        bool, _flag("Output", "--json", "Print the result as JSON; progress is on stderr.")
    ] = False,
) -> None:
    """Carry out the command; its help is `HELP`."""
    given = {
        name: value
        for name, value in locals().items()
        if name not in ("out", "resume", "allow_reshard", "quiet", "json", "width")
    }
    given["root"] = root and str(root.absolute())
    for flag in ("half", "tensorboard", "distributed", "sync_bn", "checkpoint_blocks"):
        given[flag] = given[flag] or None
    given |= {"freeze": tuple(freeze) if freeze else None}
    given["val_split"] = number("val-split", val_split)
    if milestones is not None:
        given["milestones"] = numbers("milestones", milestones, float, "0.5,0.75")
    given |= {"model_options": None if width is None else {"width": width}}
    if device is not None:
        require(device)
    if allow_reshard and resume is None:
        raise typer.BadParameter("--allow-reshard: it is for --resume; a new run has no ranks yet")

    from minires.devices.launcher import is_first
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
        if not is_first():  # rank 0 says it
            raise typer.Exit(getattr(error, "exit_code", 1)) from None
        stopped = isinstance(error, StoppedError)
        how = f"; go on by: {_how_to_go_on(folder, ranks.size)}" if stopped else ""
        typer.echo(f"minires: {as_option(str(error))}{how}", err=True)
        raise typer.Exit(getattr(error, "exit_code", 1)) from None
    except OSError:
        if not is_first():
            raise typer.Exit(1) from None
        raise
    if ranks.rank > 0:
        return
    try:
        print_result(result, folder, json)
    except OSError as error:  # of stdout: a full disk, or a pipe that is closed
        typer.echo(
            f"minires: the run in '{folder}' is finished, and its result.json is written, but could"
            f" not be printed ({error.strerror})",
            err=True,
        )
        raise typer.Exit(1) from None


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
        first = "width" if odd[0] == "model_options" else odd[0].replace("_", "-")
        raise typer.BadParameter(
            f"--{first}: a run is gone on with as it was begun; with --resume"
            f" only {free} may be said"
        )
    config = read_config(resume)
    if "dataset" in named:
        named["dataset"] = located(named["dataset"])
    return config.changed(**named)


def _how_to_go_on(folder: Path, ranks: int) -> str:
    """Return the command for a shell."""
    command = f"minires train --resume {shlex.quote(str(folder))}"
    return f"mpiexec -n {ranks} {command}" if ranks > 1 else command


def _fresh() -> Path:
    from .folders import fresh_folder

    return fresh_folder("train")
