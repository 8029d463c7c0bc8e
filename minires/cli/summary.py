"""`minires summary`: a network layer by layer."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from .tables import show

# After \b lines stay as they are.
HELP = (
    "Show a network layer by layer: shapes, parameters, MACs, receptive fields.\n\n"
    "A value sees so many pixels of the image, and the next value those a stride further on. All is"
    " counted from the ops that the network runs on one image, on tensors that hold no values.\n\n"
    "Examples:\n\n"
    "\b\n"
    "minires summary resnet50 --input 3x224x224\n"
    "minires summary cifar_resnet20 --input 3x64x64 --json\n"
)


def run_summary(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The network; minires models tells which there are."),
    ],
    image: Annotated[
        str | None,
        typer.Option(
            "--input",
            help="Channels, height and width of an image, as in 3x224x224.",
            show_default="what it was made for",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Carry out the command; its help is `HELP`."""
    from minires import models

    try:
        made_for = models.input_of(name)
        models.create(name, device="meta")
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    shape = made_for if image is None else _lengths(image)
    try:
        found = models.summary(name, shape)
    except ValueError as error:
        usual = "x".join(map(str, made_for))
        raise typer.BadParameter(
            f"--input: {name} does not take {image}, it was made for {usual}: {error}"
        ) from None
    if json:
        typer.echo(found.to_json(), nl=False)
        return
    show(found)


def _lengths(text: str) -> tuple[int, int, int]:
    found = re.fullmatch(r"([1-9]\d{0,5})[xX×,]([1-9]\d{0,5})[xX×,]([1-9]\d{0,5})", text.strip())
    if found is None:
        raise typer.BadParameter(
            f"--input: expected channels, height and width, such as 3x224x224; found {text!r}"
        )
    channels, height, width = map(int, found.groups())
    return channels, height, width
