"""`minires bench`: how fast this machine is, and where a training step's time goes on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .devices import Device, require

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

HELP = (
    "Measure this machine, and how close a ResNet's training step comes to what it allows.\n\n"
    "The floor is what the step's matrix products and its memory traffic take alone; it is"
    " measured beside the step. It takes less than a minute."
)

# Colour is never the only cue: each part is drawn with a sign of its own.
_STYLES = {
    "convolution": ("█", "#", "dodger_blue2"),
    "convolution backward": ("▓", "=", "dodger_blue1"),
    "batch norm": ("▚", "%", "dark_orange3"),
    "batch norm backward": ("▒", "+", "orange1"),
    "gradients summed": ("▞", "*", "green3"),
    "other": ("░", ".", "grey58"),
}


def run_bench(
    depth: Annotated[int, typer.Option(help="Layers of the network, 6n + 2: 8, 14, 20, ...")] = 20,
    batch: Annotated[int, typer.Option(help="Images of 3x32x32 per step.", min=1)] = 128,
    rounds: Annotated[int, typer.Option(help="How often all is measured.", min=1)] = 5,
    threads: Annotated[
        int | None, typer.Option(help="Threads of the kernels.", show_default="as they are", min=1)
    ] = None,
    device: Device = "cpu",
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Carry out the command; its help is `HELP`."""
    from minires.devices.threads import set_num_threads
    from minires.lab.speed import measure_speed

    require(device)
    if threads is not None:
        set_num_threads(threads)
    try:
        measured = measure_speed(depth, batch, rounds, device)
    except ValueError as error:
        raise typer.BadParameter(f"--{error}") from None
    except MemoryError as error:
        typer.echo(f"minires bench: not enough memory for --batch {batch}: {error}", err=True)
        raise typer.Exit(1) from None
    if json:
        from minires.serialize.json_text import to_json

        typer.echo(to_json(measured), nl=False)
    else:
        _print(measured)


def _print(measured: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    where, settings = measured["environment"], measured["settings"]
    processor = (
        f"{where['processor']}, {where['processors']} processors; {where['kernels']} kernels on"
        f" {settings['threads']} threads"
    )
    console.print(where.get("gpu", processor), markup=False)
    console.print()
    console.print(_machine(measured["machine"]))
    console.print()
    console.print(Text(f"ResNet-{settings['depth']}, batch {settings['batch']}", "bold"))
    console.print(_step(measured))
    console.print()
    unicode = console.encoding.lower().startswith("utf")
    width = min(console.width, 100) if console.is_terminal else 100
    title = f"where a step's time goes (the quickest of {settings['rounds']} further ones)"
    console.print(Text(title, "bold"))
    for line in stacked_bar(measured["parts"], width, unicode):
        console.print(line)


def _machine(machine: dict[str, dict[str, float]]) -> Table:
    headings = (f"{n} thread{'s' * (n != '1')}" if n.isdecimal() else n for n in machine)
    table = _table("this machine", *headings)
    for label, key in (("sgemm", "sgemm_gflops"), ("memory copy", "copy_gbps")):
        unit = "GF/s" if key == "sgemm_gflops" else "GB/s"
        table.add_row(label, *(f"{rates[key]:.1f} {unit}" for rates in machine.values()))
    return table


def _step(measured: dict[str, Any]) -> Table:
    table = _table("", "minimum", "median", "threads busy", "")
    labels = {"step": "training step", "products": "  matrix products", "traffic": "  memory"}
    for name in ("step", "floor", "products", "traffic"):
        times = measured["jobs"][name]
        note = f"{measured['images_per_second']:.0f} images/s at best" if name == "step" else ""
        figures = (f"{times[key]:.1f} ms" for key in ("minimum", "median"))
        busy = f"{times['cpu_minimum'] / times['minimum']:.1f}"
        table.add_row(labels.get(name, name), *figures, busy, note)
    ratio = measured["step_to_floor"]
    spread = f"{ratio['low']:.2f} to {ratio['high']:.2f}"
    table.add_row("step / floor", "", f"{ratio['median']:.2f}", "", spread)
    return table


def _table(*headings: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    return table


def stacked_bar(parts: dict[str, float], width: int, unicode: bool) -> list[RenderableType]:
    """Draw the parts as one bar, `width` signs long, and below it what each sign stands for.

    A part is as long as its share, rounded so that the lengths add up to the width.
    """
    from rich.text import Text

    total = sum(parts.values())
    bar, lines, passed = Text(), [], 0.0
    for name, milliseconds in parts.items():
        filled, plain, colour = _STYLES[name]
        sign = filled if unicode else plain
        start, passed = passed, passed + milliseconds
        length = round(width * passed / total) - round(width * start / total)
        bar.append(sign * length, colour)
        line = Text(f"{sign} ", colour)
        line.append(f"{name:<22}{milliseconds:8.1f} ms {milliseconds / total:7.1%}", "default")
        lines.append(line)
    return [bar, *lines]
