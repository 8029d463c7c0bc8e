"""`python -m benchmarks.gpu`: ResNets on a GPU, minires beside PyTorch, eager and as graphs.

All take turns in one process, in the same precision. A turn is a number of steps and then a wait
for the GPU, so that whoever orders work ahead of it may.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from minires import devices
from minires.devices import cuda
from minires.lab import timing
from minires.lab.device_floor import device_speed
from minires.lab.floor import convolutions_of
from minires.models import cifar_resnet, is_possible_depth

from . import results
from .gpu_floor import expected_launches, floors, work_of
from .gpu_profile import profiled, told
from .gpu_steps import PRECISIONS, PeakMemory, Steps, contenders, no_torch, set_precision

# What the first steps' losses may differ by: TF32 keeps 10 bits of a factor.
TOLERANCES = {"float32": 0.005, "tf32": 0.05}
# Whose ratio to whom is aimed at: how many times as fast as PyTorch's eager mode.
GOALS = {"minires": 1.0, "minires graph": 1.5}
MOONSHOT = 3.0
_COMPARED = 3

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(help=__doc__)
def run(
    depths: Annotated[str, typer.Option(help="Layers, each 6n + 2.")] = "20,56,110",
    precisions: Annotated[
        str, typer.Option(help=f"Of the products: {', '.join(PRECISIONS)}.")
    ] = ",".join(PRECISIONS),
    batch: Annotated[int, typer.Option(help="Images of 3x32x32 per step.", min=1)] = 128,
    rounds: Annotated[int, typer.Option(help="Interleaved rounds.", min=1)] = 15,
    steps: Annotated[int, typer.Option(help="Steps in a turn.", min=1)] = 10,
    out: Annotated[Path, typer.Option(help="Folder of the result file.")] = results.FOLDER,
) -> None:
    """Measure, write a result file, and print a table for each network and precision."""
    chosen = [int(part) for part in depths.split(",") if part.strip().isdecimal()]
    if len(chosen) < depths.count(",") + 1 or not all(map(is_possible_depth, chosen)):
        raise typer.BadParameter(f"--depths: expected 6n + 2, such as 20,56,110; found {depths!r}")
    kinds = [kind.strip() for kind in precisions.split(",")]
    if unknown := [kind for kind in kinds if kind not in PRECISIONS]:
        raise typer.BadParameter(
            f"--precisions: there is no {unknown[0]!r}; there are {', '.join(PRECISIONS)}"
        )
    if missing := cuda.missing():
        typer.echo(f"benchmarks.gpu: device 'cuda:0' is not available: {missing}", err=True)
        raise typer.Exit(2)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160
    if reason := no_torch():
        console.print(f"{reason}: minires is measured alone", markup=False)
    result = results.new_result("cuda:0")
    path = out / results.file_name(result)
    result["gpu"] = {}
    for kind in kinds:
        for depth in chosen:
            title = f"ResNet-{depth}, batch {batch}, {kind}"
            measured = measure(depth, batch, kind, rounds, steps)
            result["gpu"][title] = measured
            results.save(result, path)  # at once, for who stops it half-way
            console.print(Text(title, "bold"))
            for table in tables(measured):
                console.print(table)
    console.print(f"Wrote {path}", markup=False)


def measure(depth: int, batch: int, precision: str, rounds: int, steps: int) -> dict[str, Any]:
    """Measure all contenders on one network in one precision, ready for JSON.

    A contender that fails is reported with its reason, and the others go on.
    """
    device = devices.get("cuda")
    reason = no_torch()
    set_precision(precision, not reason)
    convolutions = convolutions_of(cifar_resnet(depth, seed=0), (3, 32, 32))
    work, speed = work_of(convolutions, batch), device_speed(device)
    made, losses, memory, failed = {}, {}, {}, {}
    if reason:
        failed["torch"] = reason
    for name, make in contenders(depth, batch, not reason).items():
        try:
            with PeakMemory(not reason) as peak:
                made[name] = step = make()
                losses[name] = [_loss_of(step) for _ in range(_COMPARED)]
        except Exception as error:  # whatever it is, the others are worth measuring
            made.pop(name, None)
            failed[name] = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
            continue
        memory[name] = peak.torch if name.startswith("torch") else peak.ours
        gc.collect()  # what was needed to capture, or to choose an algorithm, is given back
    jobs = {name: timing.finished(partial(step, steps), device) for name, step in made.items()}
    measured = timing.interleaved(jobs, rounds)
    times = {name: measured.times(name, 1e3 / steps) for name in made}
    profiles = {}
    if not reason:
        profiles = {
            name: told(profiled(partial(step, steps)), steps, times[name]["minimum"])
            for name, step in made.items()
        }
    return {
        "depth": depth,
        "batch": batch,
        "precision": precision,
        "rounds": rounds,
        "steps": steps,
        "unit": "ms",
        "jobs": times,
        "failed": failed,
        "speedup": {
            name: measured.ratio("torch", to=name)
            for name in made
            if name != "torch" and "torch" in made
        },
        "losses": losses,
        "agreement": agreement(losses, TOLERANCES[precision]),
        "peak_memory_mb": memory,
        "profile": profiles,
        "speed": speed,
        "work": work._asdict(),
        "floor": floors(work, speed["copy_gbps"], speed["sgemm_gflops"]),
        "expected_launches": expected_launches(len(convolutions)),
    }


def agreement(losses: Mapping[str, list[float]], tolerance: float) -> dict[str, Any]:
    """Tell by how much the first losses differ from those of minires, and whether they may."""
    ours = losses.get("minires", [])
    differences = [
        abs(a - b) / max(abs(b), 1.0)
        for theirs in losses.values()
        for a, b in zip(theirs, ours, strict=False)
    ]
    largest = max(differences, default=0.0)
    return {"largest_difference": largest, "tolerance": tolerance, "agree": largest <= tolerance}


def goals(speedup: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[str, float, float, str]]:
    """Yield each of ours with its speed-up over PyTorch's eager mode, its goal, and how it did."""
    for name, goal in GOALS.items():
        if name in speedup:
            reached = speedup[name]["median"]
            word = "moonshot" if reached >= MOONSHOT else "reached" if reached >= goal else "missed"
            yield name, reached, goal, word


def tables(measured: Mapping[str, Any]) -> list[Table | Text]:
    """Draw what was measured: times, where they go, and what bounds them."""
    times = _table("ms", "minimum", "median", "x torch", "goal", "launches", "copies", "MB")
    reached = {name: (goal, word) for name, _, goal, word in goals(measured["speedup"])}
    for name, job in measured["jobs"].items():
        speedup, profile = measured["speedup"].get(name), measured["profile"].get(name)
        goal = reached.get(name)
        times.add_row(
            name,
            *(f"{job[key]:.3f}" for key in ("minimum", "median")),
            f"{speedup['median']:.2f} [{speedup['low']:.2f}-{speedup['high']:.2f}]"
            if speedup
            else "",
            f"{goal[0]:.1f} {goal[1]}" if goal else "",
            *(f"{profile[key]:.0f}" if profile else "" for key in ("launches", "copies")),
            f"{measured['peak_memory_mb'][name]:.0f}",
        )
    phases = _table("ms per step", "products", "memory-bound", "copies", "waiting")
    for name, profile in measured["profile"].items():
        phases.add_row(name, *(f"{each:.3f}" for each in profile["ms"].values()))
    floor = _table("floor", "ms")
    for name, milliseconds in measured["floor"].items():
        floor.add_row(name, f"{milliseconds:.3f}")
    speed, agreed = measured["speed"], measured["agreement"]
    lines = [
        f"{speed['sgemm_gflops'] / 1e3:.1f} TF/s, {speed['copy_gbps'] / 1e3:.2f} TB/s;"
        f" the first losses differ by {agreed['largest_difference']:.1g}"
        + ("" if agreed["agree"] else f", MORE THAN {agreed['tolerance']}"),
        *(f"{name}: not measured: {reason}" for name, reason in measured["failed"].items()),
    ]
    return [times, *([phases] if phases.row_count else []), floor, Text("\n".join(lines))]


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    return table


def _loss_of(steps: Steps) -> float:
    steps(1)
    return steps.loss()


if __name__ == "__main__":
    app(prog_name="python -m benchmarks.gpu")
