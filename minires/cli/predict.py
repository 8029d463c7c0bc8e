"""`minires predict`: what a trained network says of images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .devices import Device, require
from .tables import show
from .weights import fetched

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from minires.models import Pretrained
    from minires.models.weights.catalogue import Card
    from minires.nn import Module

HELP = (
    "Tell what a trained network sees in images.\n\n"
    "Weights of a name in minires weights list are fetched unless they are there. The names of the"
    " classes, and what is done to an image before, are in a JSON beside the weights: of model.th"
    " it is model.json, as minires weights get writes it. An image that cannot be read is named,"
    " the others are answered, and the exit code is 2.\n\n"
    "Examples:\n\n"
    "\b\n"
    "minires predict --weights cifar_resnet20 cat.jpg dog.png\n"
    "minires predict --weights runs/mine/weights/residual-20.safetensors digit.png\n"
)

_BATCH = 64


def run_predict(
    images: Annotated[
        list[Path],
        typer.Argument(help="Pictures, or .npy arrays of uint8.", show_default=False),
    ],
    weights: Annotated[
        Path,
        typer.Option(
            help="A .safetensors file, a PyTorch archive, the folder of a run, or a name in minires"
            " weights list.",
            show_default=False,
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(help="The network, instead of the JSON's.", show_default=False),
    ] = None,
    top: Annotated[int, typer.Option(help="How many classes of each image.", min=1)] = 5,
    device: Device = "cpu",
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Carry out the command; its help is `HELP`."""
    require(device)
    network, card = _pretrained(weights, model, device)
    found, failed = [], []
    for start in range(0, len(images), _BATCH):
        read, wrong = _read(images[start : start + _BATCH], card)
        failed += wrong
        if read:
            probabilities = _probabilities(network, [pixels for _, pixels in read], device)
            for (path, _), row in zip(read, probabilities, strict=True):
                if row.sum() > 0:
                    found.append({"image": str(path), "top": _top(row, card.classes, top)})
                else:  # NaN
                    failed.append({"image": str(path), "why": "the network's answer is no number"})
    if json:
        from minires.serialize.json_text import to_json

        told = {
            "model": model or card.model,
            "weights": str(weights),
            "images": found,
            "failed": failed,
        }
        typer.echo(to_json({"schema": "minires.predict/1", **told}), nl=False)
    elif found:
        _print(found)
    for each in failed:
        typer.echo(f"minires: {each['image']}: {each['why']}", err=True)
    if failed:
        raise typer.Exit(2)


def _pretrained(weights: Path, model: str | None, device: str) -> Pretrained:
    from minires.models import pretrained
    from minires.models.weights.catalogue import is_listed

    if is_listed(str(weights)):
        weights = fetched(str(weights))
    elif weights.is_dir():
        from minires.training.runs.best import BEST

        weights = weights / BEST
    try:
        return pretrained(weights, model=model, device=device)
    except (FileNotFoundError, ValueError) as error:
        raise typer.BadParameter(f"--weights: {error}") from None


def _read(
    images: Sequence[Path], card: Card
) -> tuple[list[tuple[Path, npt.NDArray[np.float32]]], list[dict[str, str]]]:
    """Read images; return those that could be, and why the others could not."""
    from minires.data import prepare

    read, failed = [], []
    for path in images:
        try:
            pixels = prepare(path, card.preprocessing)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            if path.is_dir():
                why = f"it is a folder; name the pictures in it, as {path}/*"
            failed.append({"image": str(path), "why": why})
        else:
            read.append((path, pixels))
    return read, failed


def _probabilities(
    network: Module, batch: Sequence[npt.NDArray[np.float32]], device: str
) -> npt.NDArray[Any]:
    import numpy as np

    import minires as mr

    with mr.no_grad():
        logits = network(mr.tensor(np.stack(batch), device=device))
        return np.asarray(mr.softmax(logits, 1).cpu().numpy())


def _top(row: npt.NDArray[Any], classes: Sequence[str], count: int) -> list[dict[str, Any]]:
    best = (-row).argsort(kind="stable")[:count]
    return [{"class": classes[i], "probability": float(row[i])} for i in best]


def _print(found: list[dict[str, Any]]) -> None:
    """Print a table: the image once, then its classes, the likeliest first."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("image", overflow="fold")
    table.add_column("class", overflow="fold")
    table.add_column("probability", justify="right")
    for each in found:
        for rank, guess in enumerate(each["top"]):
            # As Text: a file's or class's name is not markup.
            name = Text("" if rank else each["image"])
            table.add_row(name, Text(guess["class"]), f"{guess['probability']:.1%}")
    show(table)
