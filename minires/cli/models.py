"""`minires models`: the networks that there are by name, and what they cost."""

from __future__ import annotations

import gc
from typing import Annotated

import typer

from .tables import show

HELP = (
    "List the networks that there are by name, and what they cost.\n\n"
    "Learned parameters; multiply-accumulates (MACs) of one image; what the outputs of all its ops"
    " take in float32; depth, which is the weighted layers on the longest way. All is counted from"
    " the ops that a network runs, on tensors that hold no values.\n\n"
    "cifar_plain and cifar_resnet go on with any depth of 6n + 2, such as cifar_resnet26_b;"
    " without a letter the shortcuts are of option A: cifar_resnet20 is cifar_resnet20_a."
)


def run_models(
    json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """Carry out the command; its help is `HELP`."""
    from minires import models

    # Very many small objects come and go, none in a cycle: to look for cycles would take a fifth
    # of the time.
    gc.disable()
    try:
        counted = [models.counts_of(name) for name in models.list()]
    finally:
        gc.enable()
    if json:
        from json import dumps

        told = ("name", "params", "macs", "input", "depth")
        lines = (dumps({key: getattr(each, key) for key in told}) for each in counted)
        typer.echo("[\n  " + ",\n  ".join(lines) + "\n]")
        return
    from minires.models.tables import mebibytes, plain_table

    table = plain_table("network", "parameters", "MACs", "activations", "depth", "images", gap=1)
    for each in counted:
        size, image = mebibytes(each.activation_bytes), "x".join(map(str, each.input))
        numbers = f"{each.params:,}", f"{each.macs:,}", f"{size} MiB", str(each.depth)
        table.add_row(each.name, *numbers, image)
    show(table)
    typer.echo(
        "cifar_resnet8 is cifar_resnet8_a, and so on; cifar_plain and cifar_resnet go on with any"
        " depth of 6n + 2",
        err=True,
    )
