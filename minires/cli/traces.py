"""The traces that a command is about: recorded for it, or read from files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .devices import require

if TYPE_CHECKING:
    from minires.trace import Trace

File = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[FILE]...",
        help="Traces that were saved, one or two, instead of recording.",
        show_default=False,
    ),
]
Model = Annotated[str, typer.Option(help="The network; minires models tells which there are.")]
Versus = Annotated[
    str | None, typer.Option("--vs", help="Another network to put beside it.", show_default=False)
]
Dataset = Annotated[str, typer.Option(help="Where the batch is from.")]
Batch = Annotated[int, typer.Option(help="How many images.", min=1)]
Width = Annotated[
    int | None,
    typer.Option(
        help="Channels of the first layer, all others in proportion.",
        min=1,
        show_default="the architecture's",
    ),
]
Size = Annotated[
    int | None,
    typer.Option(
        help="Side of the images, which are enlarged to it.",
        min=1,
        show_default="the data set's for CIFAR networks, else what the network was made for",
    ),
]
Seed = Annotated[int, typer.Option(help="Of the weights and of the batch.", min=0)]
Save = Annotated[str, typer.Option(help="What is kept of each array: summary, thumbs or full.")]
Expand = Annotated[
    str | None,
    typer.Option(
        help="Ops to spell out, so that one can step inside: conv2d,batch_norm.",
        show_default=False,
    ),
]
CreateGraph = Annotated[
    bool, typer.Option("--create-graph", help="Record what happens inside of each VJP, too.")
]
Spectrum = Annotated[
    bool, typer.Option("--spectrum", help="Split the gradient by the number of branches crossed.")
]


_RECORDING = {
    *("model", "vs", "dataset", "batch", "width", "size"),
    *("seed", "device", "save", "expand", "create_graph", "spectrum"),
}


# Networks for images of this side take any size; those for larger ones halve them too often.
_SMALL = 32


@dataclass(frozen=True)
class Wanted:
    """What to record: the options that `trace` and `step` have in common."""

    model: str
    versus: str | None
    dataset: str
    batch: int
    width: int | None
    size: int | None
    seed: int
    device: str
    save: str
    expand: str | None
    create_graph: bool
    spectrum: bool


def refuse_recording_options(context: typer.Context, files: Sequence[Path]) -> None:
    """Refuse what says how to record where a recording is given.

    Parameters
    ----------
    context : typer.Context
        Of the command, which knows which options were given.
    files : sequence of Path

    Raises
    ------
    typer.BadParameter
        If there are both files and such options.
    """
    said = [
        option.opts[0]
        for option in context.command.params
        if option.name in _RECORDING
        and (source := context.get_parameter_source(option.name)) is not None
        and source.name != "DEFAULT"
    ]
    if files and said:
        raise typer.BadParameter(
            f"{', '.join(said)}: says how to record, but {str(files[0])!r} is recorded already"
        )


def traces_for(files: Sequence[Path], wanted: Wanted) -> list[Trace]:
    """Read traces, or record a training step of each network.

    Raises
    ------
    typer.BadParameter
        If there is no such file, network or data set, or the options are out of range.
    """
    if len(files) > 2:
        raise typer.BadParameter(f"{len(files)} files were given; at most two stand side by side")
    return [_read(file) for file in files] if files else _recorded(wanted)


def _read(file: Path) -> Trace:
    from minires.trace import load
    from minires.trace.views.words import only

    if not file.is_file():
        raise typer.BadParameter(f"there is no file {str(file)!r}{_written_instead(file)}")
    try:
        return load(file)
    except ValueError as error:
        raise typer.BadParameter(only(error)) from None


def _written_instead(file: Path) -> str:
    """Point to the files that `--out` makes of this name for two traces."""
    names = f"{escape(file.stem)}-*{escape(file.suffix)}"
    found = sorted(str(each) for each in file.parent.glob(names))[:2]
    return f"; near: {' '.join(map(repr, found))}, one for each network" if found else ""


def _recorded(wanted: Wanted) -> list[Trace]:
    from minires.autograd import expand
    from minires.data import get_dataset
    from minires.lab import first_batch, traced_step
    from minires.models import create, input_of
    from minires.trace.views.words import spoken

    if wanted.save not in ("summary", "thumbs", "full"):
        raise typer.BadParameter(f"--save: expected summary, thumbs or full, found {wanted.save!r}")
    require(wanted.device)
    expanded = (wanted.expand or "").replace(",", " ").split()
    try:
        with expand(*expanded):
            pass
    except ValueError as error:
        raise typer.BadParameter(f"--expand: {error}") from None
    save: Literal["summary", "thumbs", "full"] = wanted.save  # type: ignore[assignment]
    try:
        split = get_dataset(wanted.dataset).normalized()
    except ValueError as error:
        raise typer.BadParameter(f"--dataset: {error}") from None
    names = {"--model": wanted.model} | ({"--vs": wanted.versus} if wanted.versus else {})
    settings: dict[str, Any] = {
        "in_channels": split.channels,
        "num_classes": split.classes,
        "seed": wanted.seed,
    }
    if wanted.width is not None:
        settings["width"] = wanted.width
    models, sides = [], []
    for option, name in names.items():
        try:
            models.append(create(name, **settings).to(wanted.device))
        except ValueError as error:
            raise typer.BadParameter(f"{option}: {error}") from None
        sides.append(input_of(name)[1])
    made_for = max(sides) if max(sides) > _SMALL else None
    batch = first_batch(split, wanted.batch, wanted.seed, wanted.size or made_for)
    # With its spectrum in view, what a replay needs is kept whatever it takes.
    options = {"replay": True} if wanted.spectrum else {}
    found = []
    for model, name in zip(models, names.values(), strict=True):
        try:
            trace = traced_step(
                model, batch, name, save, wanted.spectrum, expanded, wanted.create_graph, **options
            )
        except ValueError as error:
            count, _, side, _ = batch[0].shape
            raise typer.BadParameter(
                f"--size, --batch: {name} cannot be trained on {spoken(count, 'image')} of"
                f" {side}x{side}: {error}"
            ) from None
        found.append(trace)
    return found
