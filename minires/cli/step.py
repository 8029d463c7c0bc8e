"""`minires step`: go through a training step, forward and backward, op by op."""

from __future__ import annotations

from typing import Annotated

import typer

from . import traces
from .devices import Device

# Each paragraph in one line, which the terminal breaks; after \b lines stay as they are.
HELP = (
    "Go through one training step in the terminal, forward and backward, op by op.\n\n"
    "Keys: arrows to step, n and p between forks, [ and ] between breakpoints, ? for all of them."
    " If the input is no terminal, it reads commands, one per line: `help` lists them.\n\n"
    "Examples:\n\n"
    "\b\n"
    "minires step --vs cifar_plain20\n"
    "minires step --model cifar_resnet8 --expand conv2d,batch_norm\n"
    "minires step step.trace\n"
    "echo fork | minires step\n"
)


def run_step(
    context: typer.Context,
    file: traces.File = None,
    model: traces.Model = "cifar_resnet20",
    vs: traces.Versus = None,
    dataset: traces.Dataset = "digits",
    batch: traces.Batch = 8,
    width: traces.Width = None,
    size: traces.Size = None,
    seed: traces.Seed = 0,
    device: Device = "cpu",
    save: traces.Save = "summary",
    expand: traces.Expand = None,
    create_graph: traces.CreateGraph = False,
    json: Annotated[
        bool,
        typer.Option("--json", help="Print all steps as JSON, a line for each trace, and stop."),
    ] = False,
) -> None:
    """Carry out the command; its help is `HELP`."""
    traces.refuse_recording_options(context, file or ())
    wanted = traces.Wanted(
        model,
        vs,
        dataset,
        batch,
        width,
        size,
        seed,
        device,
        save,
        expand,
        create_graph,
        spectrum=False,
    )
    found = traces.traces_for(file or (), wanted)
    if json:
        # One line for each trace: its records, of the schema "minires.trace/1".
        for trace in found:
            typer.echo(trace.to_json())
        return
    try:
        found[0].step(found[1] if len(found) > 1 else None)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
