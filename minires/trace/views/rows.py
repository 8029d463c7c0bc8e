"""The table of traces as rows for programs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .captions import news
from .lines import Cell, Line, Lines

if TYPE_CHECKING:
    from ..records import Spectrum, Stats
    from ..trace import Trace

SCHEMA = "minires.trace.table/1"

_DEFINITIONS = {
    "rows": "one per forward step, in the order of execution; twins share a row where module and op"
    " are the same",
    "rows.cells": "one per trace; null where it has no such step",
    "value": "of the step's output",
    "gradient": "of the step's output; null where backward did not come by",
    "norm": "Euclidean norm; null where it is not a finite number",
    "fork": "at an addition, what met at the value that its shortcut began at; else, at an output"
    " that was used several times, what met there",
    "share": "<part, sum> / <sum, sum>; the shares of a fork sum to 1, and may be negative",
    "verdict": "exact: the parts, added again, are bit for bit the gradient that the engine used",
    "seconds": "of forward and backward, noise included",
}


def json_of(*traces: Trace) -> dict[str, Any]:
    """Return the rows of one trace, or of two side by side, ready for strict JSON.

    Parameters
    ----------
    *traces : Trace

    Returns
    -------
    dict
        With ``"schema": "minires.trace.table/1"``; ``"definitions"`` says what its entries mean.

    Examples
    --------
    >>> import minires as mr
    >>> x = mr.tensor([1.0, 2.0], requires_grad=True)
    >>> with mr.trace.record() as trace:
    ...     mr.ops.residual_add(x, 3 * x).sum().backward()
    >>> [row["op"] for row in json_of(trace)["rows"]]
    ['mul', 'residual_add', 'sum']
    """
    lines = Lines(traces, expand=True)
    groups = lines.layout.groups
    return {
        "schema": SCHEMA,
        "definitions": _DEFINITIONS,
        "traces": [_about(trace) for trace in traces],
        "rows": [
            {
                "row": line.rows.start,
                "block": groups[lines.layout.rows[line.rows.start].group].path,
                **_what(line, traces),
                "cells": [None if cell is None else _cell(cell) for cell in line.cells],
            }
            for line in lines.lines
            if line.kind == "step"
        ],
        "spectra": [
            [_spectrum(spectrum) for spectrum in trace.records.spectra] for trace in traces
        ],
    }


def _what(line: Line, traces: tuple[Trace, ...]) -> dict[str, str]:
    for trace, cell in zip(traces, line.cells, strict=True):
        if cell is not None:
            step = trace.records.forward[cell.steps[0]]
            return {"module": step.module, "op": step.op, "source": step.source}
    raise AssertionError("a row belongs to at least one trace")


def _about(trace: Trace) -> dict[str, Any]:
    records = trace.records
    return {
        "title": records.title,
        "save": records.save,
        "forward_steps": len(records.forward),
        "backward_steps": len(records.backward),
        "replay": records.budget.replay_state,
        "replay_bytes": records.budget.replay,
        "array_bytes": records.budget.arrays,
        "budget_bytes": records.budget.limit,
        "arrays_left_out": records.budget.left_out,
        "error": records.error,
        "news": news(trace),
    }


def _cell(cell: Cell) -> dict[str, Any]:
    fork = cell.fork
    return {
        "step": cell.steps[0],
        "shape": list(cell.value.shape),
        "dtype": cell.value.dtype,
        "value": _stats(cell.value.stats),
        "gradient": _stats(cell.gradient),
        "fork": None
        if fork is None
        else {
            "value": fork.name,
            "block": fork.block,
            "norm": _number(fork.norm),
            "verdict": fork.verdict,
            "parts": [
                {
                    "consumer": part.consumer,
                    "edge": part.edge,
                    "side": part.side,
                    "norm": _number(part.norm),
                    "cosine": _number(part.cosine),
                    "share": _number(part.share),
                }
                for part in fork.parts
            ],
        },
        "flops": cell.flops,
        "seconds": _number(cell.seconds),
    }


def _stats(stats: Stats | None) -> dict[str, Any] | None:
    if stats is None:
        return None
    told = {name: _number(getattr(stats, name)) for name in ("norm", "rms", "mean", "std")}
    told |= {name: _number(getattr(stats, name)) for name in ("min", "max", "zeros")}
    return {**told, "nans": stats.nans, "infs": stats.infs}


def _spectrum(spectrum: Spectrum) -> dict[str, Any]:
    return {
        "at": spectrum.at,
        "total": _number(spectrum.total),
        "norms": [_number(norm) for norm in spectrum.norms],
        "shares": [_number(share) for share in spectrum.shares],
    }


def _number(value: float | None) -> float | None:
    """Shorten to six digits; JSON has no word for NaN and infinity."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None
