"""The page about training by several ranks: every number in it comes from a result file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minires.serialize.atomic import atomic_write

from .distributed import BATCH, DEPTH, NETWORKS, STEPS, Link, Model, fitted_link
from .page import filled, in_ms, table

_RANKS = (1, 2, 4, 8, 16, 32, 64)


def write_distributed_page(result: Mapping[str, Any], path: Path) -> Path:
    """Write the page.

    Raises
    ------
    ValueError
        If it was not measured.
    """
    measured = result.get("distributed")
    if not measured:
        raise ValueError(
            "the result lacks distributed; measure it with"
            " `python -m benchmarks run --only distributed`"
        )
    where, one, two = result["environment"], measured["1"], measured["2"]
    link = fitted_link(two["all_reduce"])
    model = Model.fitted(one["compute, one thread"], one["parameters"], one["norms"])
    page = f"""# Several ranks, measured

What a step takes when ranks share it, and what it would take on more than this machine has. This
page is written by `python -m benchmarks ranks`; no number in it is typed by hand. How to train with
several ranks stands in [distributed.md](distributed.md).

Measured on {result["date"]}: {where["processor"]}, {where["processors"]} processors,
{where["system"]}; minires {where["minires"]} with {where["kernels"]} kernels, NumPy
{where["numpy"]} ({where["blas"]}), MPICH through mpi4py, Python {where["python"]}.
{_busy(measured["load"]["last minute"], where["processors"])}

ResNet-{DEPTH} on images of 3x32x32 in float32, as a `Trainer` takes its steps. All cores are in use
in each row but the last table's: one rank has {one["threads"]} threads, and each of two has
{two["threads"]}. Times are per step, of {STEPS} steps in a row, minimum and median.

## A step

{_steps(one, two)}

## A message

The sum of an array over two ranks, which talk through the memory that they share. From the shortest
message and the longest comes a latency of {1e6 * link.latency:.1f} µs and a bandwidth of
{link.bandwidth / 1e9:.1f} GB/s.

{_messages(two)}

## Computing

One rank with one thread, on batches of several sizes, and the line that the model below takes it
for: {1e3 * model.fixed:.0f} ms, and {1e3 * model.per_image:.2f} ms per image.

{_compute(one, model)}

## A model of the step

With n ranks, one on each core, and b images on each rank:

> T(n, b) = t₀ + b t₁ + A(n, S) + 2 A(n, s), with A(n, S) = 2 ⌈log₂ n⌉ λ + 2 (n - 1) / n S / β

t₀ and t₁ are the line above, S the bytes of all gradients ({model.nbytes / 1e6:.2f} MB), s those of
a short message (the ranks' numbers of images, and what their parts of the batch cost), λ and β
latency and bandwidth. A is the sum over ranks by halving and doubling (Thakur, Rabenseifner and
Gropp 2005). Nothing of it is hidden behind computing: minires sums the gradients once they are all
there. `SyncBatchNorm` adds 2 A(n, s) for each of the {model.norms} layers.

{_check(model, link, two)}

λ and β of the networks are of their kind, from data sheets; **nothing beyond this machine was
measured**. Cores that share a memory slow each other down, which the model leaves out.

A batch of {BATCH}, shared by more and more ranks:

{_predicted(model, link, together=True)}

{BATCH} images on every rank:

{_predicted(model, link, together=False)}

Sharing one batch ends where the part of a step that no rank is spared, t₀ and the messages, is as
long as the rest. More images on every rank go on being worth it, as far as training bears large
batches (its learning rate has to follow, as in Goyal et al. 2017, arXiv 1706.02677).
"""
    with atomic_write(path, "w") as file:
        file.write(filled(page))
    return path


def _busy(load: float, processors: int) -> str:
    """Say so if the machine had other things to do, and what that means here."""
    if load < 0.5:
        return ""
    return (
        f"**The machine was at other work**: {load:.1f} processes wanted its {processors}"
        " processors when the measurement began. Ranks wait for the slowest of them, so that they"
        " lose more by it than one process does: two ranks look worse here than they are."
    )


def _steps(one: Mapping[str, Any], two: Mapping[str, Any]) -> str:
    def row(name: str) -> list[str]:
        alone, shared = one["steps"][name], two["steps"][name]
        # With as many images each, two ranks take twice as many at a time.
        more = 1 if "together" in name else 2
        gain = more * alone["minimum"] / shared["minimum"]
        times = [f"{in_ms(t['minimum'])} ({in_ms(t['median'])})" for t in (alone, shared)]
        return [name, *times, f"{gain:.2f}"]

    headings = ["ms", "1 rank", "2 ranks", "images/s of 2 ranks : of 1"]
    return table(headings, map(row, two["steps"]))


def _messages(two: Mapping[str, Any]) -> str:
    rows = (
        [f"{int(size):,}", f"{1e3 * t['minimum']:,.0f}", f"{1e3 * t['median']:,.0f}"]
        for size, t in two["all_reduce"].items()
    )
    return table(["bytes", "minimum, µs", "median, µs"], rows)


def _compute(one: Mapping[str, Any], model: Model) -> str:
    rows = (
        [images, in_ms(t["minimum"]), in_ms(1e3 * (model.fixed + model.per_image * int(images)))]
        for images, t in one["compute, one thread"].items()
    )
    return table(["images", "measured, ms", "line, ms"], rows)


def _check(model: Model, link: Link, two: Mapping[str, Any]) -> str:
    """Hold the model against the two ranks that were measured."""

    def row(name: str, found: Mapping[str, float]) -> list[str]:
        images = BATCH // 2 if "together" in name else BATCH
        told = 1e3 * model.step(2, images, link, sync="Sync" in name)
        return [name, in_ms(told), in_ms(found["minimum"]), f"{found['minimum'] / told - 1:+.0%}"]

    headings = ["two ranks on this machine", "model, ms", "measured, ms", "beside the model"]
    return table(headings, (row(name, found) for name, found in two["steps"].items()))


def _predicted(model: Model, link: Link, together: bool) -> str:
    links = {"shared memory": link, **NETWORKS}

    def row(ranks: int) -> list[str]:
        images = BATCH / ranks if together else BATCH
        cells = [str(ranks)]
        for each in links.values():
            seconds = model.step(ranks, images, each)
            gain = (model.step(1, BATCH, each) * ranks * images / BATCH) / seconds
            cells.append(f"{in_ms(1e3 * seconds)} ms, {gain:.1f} times")
        return cells

    return table(["ranks", *links], map(row, _RANKS))
