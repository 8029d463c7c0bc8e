"""The commands: measure, compare two results, make the page."""

from __future__ import annotations

import importlib.util
import json as json_format
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from . import results

Rounds = Annotated[int, typer.Option(help="Interleaved rounds; long cases get fewer.", min=1)]
Out = Annotated[Path, typer.Option(help="Folder of the result file.")]
Measured = Iterator[tuple[str, Any]]

_BESIDE_TORCH = {*("training", "inference", "memory", "geometries", "block_check", "architectures")}
DOCS = Path(__file__).parent.parent / "docs"

app = typer.Typer(
    help="Measure minires beside PyTorch and beside what bounds it."
    " On a GPU: python -m benchmarks.gpu.",
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)


def _machine(rounds: int) -> Measured:
    from minires.devices.threads import get_num_threads
    from minires.lab.speed import machine_speed

    for number in sorted({1, get_num_threads()}):
        yield str(number), machine_speed(number)


def _training(rounds: int) -> Measured:
    from minires.devices.threads import get_num_threads

    from .training import cases, training

    for case in cases(get_num_threads()):
        yield case.title, training(case, rounds)


def _breakdown(rounds: int) -> Measured:
    from .training import Case, where_time_goes

    yield f"ResNet-{Case().depth}, batch {Case().batch}", where_time_goes(rounds)


def _inference(rounds: int) -> Measured:
    from .inference import inference

    for batch in (1, 128):
        yield f"ResNet-20, batch {batch}", inference(batch, rounds)


def _memory(rounds: int) -> Measured:
    from .memory import memory

    for depth in (20, 110):
        yield f"ResNet-{depth}, batch 128", memory(depth, 128)


def _geometries(rounds: int) -> Measured:
    from .geometries import GRID, convolution

    for geometry in GRID:
        for batch in (1, 32):
            yield f"{geometry.name}, batch {batch}", convolution(geometry, batch, (rounds + 1) // 2)


def _engine(rounds: int) -> Measured:
    from . import engine

    yield "backward_per_block", engine.backward_per_block(rounds)
    yield "tiny_ops", engine.tiny_ops(rounds)
    yield "imports", engine.imports(rounds)
    yield "memory_over_steps", engine.memory_over_steps()


def _checking(rounds: int) -> Measured:
    from .checking import checking

    yield from checking(seeds=rounds)


def _block_check(rounds: int) -> Measured:
    from .block_check import block_check

    yield from block_check(min(rounds, 3)).items()


def _tracing(rounds: int) -> Measured:
    from .tracing import tracing

    yield from tracing(rounds)


def _architectures(rounds: int) -> Measured:
    from .architectures import ARCHITECTURES, architecture

    for case in ARCHITECTURES:
        yield case.title, architecture(case, min(rounds, 5))


def _loader(rounds: int) -> Measured:
    from .loader import decoding, pipeline, slowdown

    yield "pad, crop, flip, normalise", pipeline(rounds)
    yield "JPEG, 32x32", decoding((32, 32), 2_000, min(rounds, 5))
    yield "JPEG, 375x500", decoding((375, 500), 128, min(rounds, 5))
    yield "training, ResNet-20", slowdown(min(rounds, 7))


def _distributed(rounds: int) -> Measured:
    from .distributed import measured

    yield from measured(min(rounds, 5))


def _classroom(rounds: int) -> Measured:
    from .classroom import classroom

    yield from classroom()


def _mnist(rounds: int) -> Measured:
    from .whole_runs import mnist

    yield from mnist()


def _fine_tuning(rounds: int) -> Measured:
    from minires.data.sources import data_root

    from .whole_runs import fine_tuning

    file = data_root() / "pretrained" / "resnet20-12fca82f.th"
    weights = str(file) if file.is_file() else "cifar_resnet20"
    yield from fine_tuning(data_root() / "fashion_mnist_sprite_900.npz", weights)


def _peers(rounds: int) -> Measured:
    from .peers import run_peers

    yield from run_peers(rounds).items()


SECTIONS: dict[str, Callable[[int], Measured]] = {
    "machine": _machine,
    "training": _training,
    "breakdown": _breakdown,
    "inference": _inference,
    "memory": _memory,
    "geometries": _geometries,
    "engine": _engine,
    "checking": _checking,
    "block_check": _block_check,
    "tracing": _tracing,
    "architectures": _architectures,
    "loader": _loader,
    "distributed": _distributed,
    "classroom": _classroom,
    "mnist": _mnist,
    "fine_tuning": _fine_tuning,
    "peers": _peers,
}
# These need time, or data, or environments of their own: they are measured when asked for.
SELDOM = (
    *("checking", "block_check", "tracing", "architectures", "distributed", "classroom"),
    *("mnist", "fine_tuning", "peers"),
)
USUAL = [n for n in SECTIONS if n not in SELDOM]


def _measure(names: list[str], rounds: int, out: Path) -> dict[str, Any]:
    """Measure sections into the day's file of this machine; what it holds of others stays."""
    console = Console(highlight=False, soft_wrap=True)
    if missing := _missing(names):
        raise typer.BadParameter(missing)
    result = results.new_result()
    path = out / results.file_name(result)
    if path.exists():
        before = results.load(path)
        # What only some sections need, such as PyTorch, may be absent this time.
        environment = before["environment"] | result["environment"]
        result = before | result | {"environment": environment}
    for name in names:
        result[name] = {}
        for title, measured in SECTIONS[name](rounds):
            result[name][title] = measured
            # At once, for who stops it half-way.
            results.save(result, path)
            console.print(f"{name}: {title}: {_in_short(measured)}", markup=False)
    console.print(f"Wrote {path}", markup=False)
    return result


def _missing(names: list[str]) -> str | None:
    """Say what the sections need that is not installed, before anything is measured or written."""
    beside_torch = _BESIDE_TORCH.intersection(names)
    if beside_torch and importlib.util.find_spec("torch") is None:
        return (
            f"{', '.join(sorted(beside_torch))}: PyTorch is not installed;"
            " python -m pip install -e '.[bench]', or choose other sections with --only"
        )
    if "distributed" in names and importlib.util.find_spec("mpi4py") is None:
        return "distributed: mpi4py is not installed; python -m pip install -e '.[mpi]'"
    if "peers" in names:
        from .peers import installed

        if not installed():
            return "peers: none is installed; run python -m benchmarks.peers install"
    return None


def _in_short(measured: Any) -> str:
    """Say in a line what was measured: minimum times, our losses' agreement, or plain numbers."""
    if not isinstance(measured, dict):
        return str(measured)
    told = [f"{name} {value:.4g}".lstrip() for name, value in results.figures(measured).items()]
    if not told:
        numbers = measured.get("parts", measured)
        told = [
            f"{name} {value:.4g}" for name, value in numbers.items() if isinstance(value, float)
        ]
    if "agreement" in measured:
        agreement = measured["agreement"]
        told.append(f"losses agree to {agreement['largest_difference']:.1g}, the last:")
        # Of a whole training, or of one step.
        losses = measured.get("losses") or {n: [loss] for n, loss in agreement["losses"].items()}
        told += [f"{name} {each[-1]:.5f}" for name, each in losses.items()]
    return ", ".join(told)


@app.command("run")
def run(
    only: Annotated[
        str, typer.Option(help=f"Sections, separated by commas: {', '.join(SECTIONS)}.")
    ] = ",".join(USUAL),
    rounds: Rounds = 15,
    out: Out = results.FOLDER,
) -> None:
    """Measure everything, in about ten minutes; a section again replaces that of the day's file."""
    names = [name.strip() for name in only.split(",")]
    if unknown := [name for name in names if name not in SECTIONS]:
        raise typer.BadParameter(f"no section {unknown[0]!r}; there are: {', '.join(SECTIONS)}")
    _measure(names, rounds, out)


@app.command("engine")
def engine(rounds: Rounds = 15, out: Out = results.FOLDER) -> None:
    """Measure the tape: a residual block's backward, a tiny op, the import, memory over steps."""
    _measure(["engine"], rounds, out)


@app.command("checking")
def checking(
    seeds: Annotated[int, typer.Option(help="Draws of inputs per gradient.", min=1)] = 200,
    out: Out = results.FOLDER,
) -> None:
    """Count what gradient checkers miss, and what they reject wrongly; 200 seeds: 15 minutes."""
    from .checking import table

    measured = _measure(["checking"], seeds, out)["checking"]
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    for name in measured:
        console.print(table(name, measured[name]), markup=False)


@app.command("peers")
def peers(rounds: Rounds = 15, out: Out = results.FOLDER) -> None:
    """Measure other frameworks beside minires; `python -m benchmarks.peers install` comes first."""
    _measure(["peers"], rounds, out)


@app.command("compare")
def compare(
    first: Annotated[Path, typer.Argument(help="A result file.")],
    second: Annotated[Path, typer.Argument(help="Another.")],
    json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
) -> None:
    """Print the figures of two result files, and the second's in terms of the first's."""
    try:
        rows = results.comparison(first, second)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if json:
        table = {"schema": "minires.benchmark.compare/1", "rows": rows}
        typer.echo(json_format.dumps(table, indent=1))
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("minimum of")
    for heading in (first.stem, second.stem, "ratio"):
        table.add_column(heading, justify="right")
    for row in rows:
        style = "green" if row["ratio"] < 0.95 else "red" if row["ratio"] > 1.05 else "default"
        numbers = [f"{row[key]:.4g}" for key in ("first", "second")]
        table.add_row(Text(row["figure"]), *numbers, Text(f"{row['ratio']:.2f}", style))
    console.print(table)


@app.command("page")
def page(
    result: Annotated[Path, typer.Argument(help="The result file that they are made of.")],
    out: Annotated[
        Path, typer.Option(help="Folder of the pages; pictures lie in folders beside them.")
    ] = DOCS,
) -> None:
    """Write the pages about performance and about the gradient checker, from a result file."""
    from .checking_page import write_checking_page
    from .page import write_page

    try:
        measured = results.load(result)
        files = write_page(measured, out / "performance.md")
        files.append(write_checking_page(measured, out / "gradient-checks-measured.md"))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    for file in files:
        typer.echo(file)


@app.command("table")
def table_of_architectures(
    result: Annotated[Path, typer.Argument(help="A result with the section architectures.")],
    out: Annotated[Path, typer.Option(help="Folder of the page.")] = DOCS,
) -> None:
    """Write the page about architectures from a result file."""
    from .architectures_page import write_architectures_page

    try:
        file = write_architectures_page(results.load(result), out / "architectures.md")
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    typer.echo(file)


@app.command("ranks")
def page_of_ranks(
    result: Annotated[Path, typer.Argument(help="A result with the section distributed.")],
    out: Annotated[Path, typer.Option(help="Folder of the page.")] = DOCS,
) -> None:
    """Write the page about training by several ranks from a result file."""
    from .distributed_page import write_distributed_page

    try:
        file = write_distributed_page(results.load(result), out / "distributed-measured.md")
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    typer.echo(file)


if __name__ == "__main__":
    app(prog_name="python -m benchmarks")
