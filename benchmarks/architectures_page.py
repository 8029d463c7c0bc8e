"""The page about architectures: every number in it comes from a result file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minires.serialize.atomic import atomic_write

from .page import filled, in_ms, table, with_range


def write_architectures_page(result: Mapping[str, Any], path: Path) -> Path:
    """Write the page.

    Raises
    ------
    ValueError
        If the architectures were not measured.
    """
    measured = result.get("architectures")
    if not measured:
        raise ValueError(
            "the result lacks architectures; measure them with"
            " `python -m benchmarks run --only architectures`"
        )
    where = result["environment"]
    rounds, weighings = (
        max(entry[kind]["rounds"] for entry in measured.values()) for kind in ("time", "memory")
    )
    page = f"""# Architectures beside PyTorch

Forward and backward in training mode, without an update and without dropout, on images of the size
that each network is made for: one, or as many as are stated. This page is written by
`python -m benchmarks table`; no number in it is typed by hand.

Measured on {result["date"]}: {where["processor"]}, {where["processors"]} processors,
{where["system"]}; minires {where["minires"]} with {where["kernels"]} kernels on {where["threads"]}
threads, NumPy {where["numpy"]} ({where["blas"]}), PyTorch {where.get("torch", "none")} in eager
mode on the CPU, Python {where["python"]}.

PyTorch runs the same network, stated op by op in `torch.nn.functional`, on the same numbers, in
both memory orders; its losses equal ours.

## Time

All engines run in one process and take turns, {rounds} rounds after two that are not measured.
Times are the minimum over the rounds, with the minimum of processor time in parentheses, which a
busy machine stretches less; a ratio is the median of the rounds' ratios, with their range in
brackets. Above 1, minires takes longer. The floor is what the convolutions' matrix products take
alone, and ten passes over their outputs.

{_times(measured)}

## Memory

Peaks of fresh processes that build the network and go forward and backward twice, the gradients
kept, in MB: the median of {weighings}, for PyTorch's differ from one to the next. "Added" is by how
much the peak lies above what the process held after a tiny network of the same kinds of layers:
without the libraries.

{_memory(measured)}"""
    with atomic_write(path, "w") as file:
        file.write(filled(page) + "\n")
    return path


def _times(measured: Mapping[str, Any]) -> str:
    rows = []
    for title, entry in measured.items():
        jobs, ratios = entry["time"]["jobs"], entry["time"]["ratios"]["minires"]
        rows.append(
            [
                title,
                f"{entry['macs'] / 1e9:.2f}",
                *(
                    f"{in_ms(jobs[name]['minimum'])} ({in_ms(jobs[name]['cpu_minimum'])})"
                    for name in ("minires", "torch NCHW", "torch channels_last", "floor")
                ),
                *(
                    with_range(ratios[name])
                    for name in ("torch NCHW", "torch channels_last", "floor")
                ),
            ]
        )
    headings = ["", "10^9 MACs an image", "minires, ms", "torch NCHW, ms", "channels_last, ms"]
    headings += ["floor, ms", "to torch NCHW", "to channels_last", "to the floor"]
    return table(headings, rows)


def _memory(measured: Mapping[str, Any]) -> str:
    rows = []
    for title, entry in measured.items():
        row = [title]
        for figures in (entry["memory"], entry["memory"]["added"]):
            row += [f"{peak['median']:.0f}" for peak in figures["jobs"].values()]
            row += [f"{each['median']:.2f}" for each in figures["ratios"]["minires"].values()]
        rows.append(row)
    engines = ["minires", "torch NCHW", "channels_last"]
    ratios = ["to NCHW", "to channels_last"]
    headings = ["", *engines, *ratios, *(f"added: {name}" for name in engines), *ratios]
    return table(headings, rows)
