"""The page about the gradient checker: every number in it comes from a result file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minires.serialize.atomic import atomic_write

from .checking import CHECKS, OURS
from .page import filled, table

_STYLES = {
    OURS: "`mr.gradcheck`",
    "random cotangent": "central differences, random cotangent",
    "cotangent of ones": "the same, cotangent of ones",
    "one random entry": "one random entry per input, cotangent of ones, tolerance 1 %",
    "shapes only": "shapes only",
}


def write_checking_page(result: Mapping[str, Any], path: Path) -> Path:
    """Write the page.

    Raises
    ------
    ValueError
        If the result lacks the rates or the times.
    """
    for name, command in (("checking", "checking"), ("block_check", "run --only block_check")):
        if not result.get(name):
            raise ValueError(
                f"the result lacks {name}; measure it with `python -m benchmarks {command}`"
            )
    where = result["environment"]
    chapters = [
        f"""# The gradient checker, measured

What `mr.gradcheck` misses, what it rejects wrongly, and how long it takes. This page is written by
`python -m benchmarks page`; no number in it is typed by hand. How to use the checker stands in
[gradient-checks.md](gradient-checks.md).

Measured on {result["date"]}: {where["processor"]}, {where["processors"]} processors; minires
{where["minires"]} with {where["kernels"]} kernels, NumPy {where["numpy"]}, PyTorch
{where.get("torch", "none")}, Python {where["python"]}.""",
        _rates(result["checking"]),
        _times(result["block_check"]),
    ]
    with atomic_write(path, "w") as file:
        file.write(filled("\n\n".join(chapters)) + "\n")
    return path


def _rates(measured: Mapping[str, Any]) -> str:
    alarms, misses = measured["false alarms"], measured["misses"]
    rows = [
        [_STYLES[check], *(_rate(part, check) for part in (alarms, misses))] for check in CHECKS
    ]
    undecided = [part["totals"][OURS]["undecided"] for part in (alarms, misses)]
    counts = [f"{part['solutions']} × {part['seeds']}" for part in (alarms, misses)]
    headings = [
        "check",
        f"false alarms ({counts[0]} right gradients)",
        f"misses ({counts[1]} wrong ones)",
    ]
    missed = sorted(
        (
            (title, counts[OURS]["failures"])
            for title, counts in misses["by_solution"].items()
            if counts[OURS]["failures"]
        ),
        key=lambda item: -item[1],
    )
    which = "; ".join(f"{title} ({count})" for title, count in missed)
    accepted = f"Wrong gradients that `mr.gradcheck` accepted: {which or 'none'}."
    return f"""## False alarms and misses

The bank `minires.checking.bank` holds {misses["solutions"]} wrong gradients, each a mistake that
people make, and {alarms["solutions"]} right ones, written in as many ways as people write them, in
several geometries. Each is checked at {misses["seeds"]} draws of its inputs. A rate is followed by
its upper bound at 95 % confidence (Clopper and Pearson). The simpler checks see the same inputs.

{table(headings, rows)}

{accepted} Undecided, which counts as neither and is not accepted: {undecided[0]} of the right ones,
{undecided[1]} of the wrong ones. A check of the bank takes
{misses["ms_per_check"]["median"]:.1f} ms (median)."""


def _rate(part: Mapping[str, Any], check: str) -> str:
    return f"{part[check]:.2%} (< {part['totals'][check]['upper_bound']:.2%})"


def _times(measured: Mapping[str, Any]) -> str:
    rows = []
    for mode, title in (("full", "every entry"), ("random", "random directions")):
        jobs, ratios = measured[mode]["jobs"], measured[mode]["ratios"]["minires"]
        for name, times in jobs.items():
            ratio = ratios.get(name)
            share = f"{1 / ratio['median']:.1f}" if ratio and name == "torch" else ""
            seconds = (f"{times[key] / 1e3:.3g}" for key in ("minimum", "median", "cpu_minimum"))
            rows.append([f"{title}: {name}", *seconds, share])
    headings = ["s", "minimum", "median", "CPU time", "times what minires takes"]
    return f"""## Time

A basic block ({measured["block"]}; its input and all its parameters, {measured["entries"]:,}
entries), beside `torch.autograd.gradcheck` of the same block with the same
numbers, in turns, {measured["full"]["rounds"]} rounds. The floor is what no check by differences
can do without: two forward passes for each entry.

{table(headings, rows)}

PyTorch compares whole Jacobians, one backward pass for each output. minires takes differences
output by output, too, but compares them summed with a random cotangent, so that one backward pass
does. Along random directions, minires takes four for each input, PyTorch's `fast_mode` one for
all."""
