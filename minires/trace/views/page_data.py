"""What the page knows of one trace, or of two: the records, shortened, and one time line of both.

The page reads plain JSON. Numbers are rounded to what it shows, what is None is left out, and NaN
and infinity, which JSON has not, are strings.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from ..breakpoints import finite
from ..comparison import TraceComparison
from ..forks import forks_by_step
from ..layout import Layout, layout_of
from ..records import Backward, Forward, Part, Records, Stats, Thumbnail, Value
from ..structure import Role, Structure, is_join
from .captions import marks_of

if TYPE_CHECKING:
    from ..trace import Trace

# The kinds of ticks on the time line: an op ran; a value's turn in a backward pass; an op that a
# VJP ran.
FORWARD, BACKWARD, INNER = 0, 1, 2


def data_of(traces: Sequence[Trace], names: Sequence[str] | None = None) -> dict[str, Any]:
    """Turn one trace, or two that are aligned, into what the page is drawn from.

    Parameters
    ----------
    traces : sequence of Trace
        One or two.
    names : sequence of str, optional
        What to call them; by default their titles, and which of them has shortcuts.

    Returns
    -------
    dict
        Of numbers, strings, lists and dicts alone, none of them NaN or infinite.

    Raises
    ------
    ValueError
        If there are not one or two traces, or not as many names.
    """
    if len(traces) not in (1, 2):
        raise ValueError(f"a page shows one trace, or two side by side; found {len(traces)}")
    names = marks_of(*traces) if names is None else list(names)
    if len(names) != len(traces):
        raise ValueError(f"{len(names)} names for {len(traces)} traces; give each one its name")
    layout = layout_of(*[trace.structure for trace in traces])
    return {
        "title": title_of(traces, names),
        "panes": [
            _pane(trace, name, {row.steps[side]: number for number, row in enumerate(layout.rows)})
            for side, (trace, name) in enumerate(zip(traces, names, strict=True))
        ],
        "rows": [[*row.steps, row.group] for row in layout.rows],
        "groups": [[group.path, group.rows.start, group.rows.stop] for group in layout.groups],
        "arcs": [[[a.start, a.end, a.value, a.side] for a in arcs] for arcs in layout.arcs],
        "handed": layout.handed,
        "ticks": _ticks([trace.records for trace in traces], layout),
        "differences": TraceComparison(*traces).differences if len(traces) == 2 else [],
    }


def title_of(traces: Sequence[Trace], names: Sequence[str]) -> str:
    """Return what the page is called: the networks, and what tells them apart."""
    titles = [trace.records.title for trace in traces]
    both = " and ".join(names)
    return f"{titles[0]}, {both}" if len(set(titles)) < len(titles) and titles[0] else both


def _pane(trace: Trace, name: str, rows: dict[int | None, int]) -> dict[str, Any]:
    records, structure = trace.records, trace.structure
    return _present(
        name=name,
        minires=records.minires,
        save=records.save,
        error=records.error,
        left_out=records.budget.left_out or None,
        values=[_value(value) for value in records.values],
        forward=[_forward(step) for step in records.forward],
        backward=[_backward(step, records, structure) for step in records.backward],
        forks=_forks(trace, rows),
    )


def _value(value: Value) -> dict[str, Any]:
    return _present(
        name=value.name,
        kind=value.kind,
        shape=list(value.shape),
        dtype=value.dtype,
        tracked=value.requires_grad or None,
        op=value.op,
        stats=_stats(value.stats),
        gradient=_stats(value.gradient),
        picture=_thumbnail(value.thumbnail),
        gradient_picture=_thumbnail(value.gradient_thumbnail),
        detached_from=value.detached_from,
    )


def _forward(step: Forward) -> dict[str, Any]:
    return _present(
        op=step.op,
        module=step.module or None,
        source=step.source,
        inputs=[
            [operand.edge, operand.value]
            if operand.value is not None
            else [operand.edge, None, operand.text]
            for operand in step.operands
        ],
        output=step.output,
        constants=step.constants or None,
        flops=step.flops or None,
        bytes=step.bytes or None,
        seconds=_number(step.seconds, 3),
        notes={key: _number(note, 4) for key, note in step.notes.items()} or None,
        vjp_of=step.vjp_of,
        untaped=None if step.recorded else True,
        twin_of=step.twin_of or None,
        join=True if is_join(step) else None,
    )


def _backward(step: Backward, records: Records, structure: Structure) -> dict[str, Any]:
    fork = len(step.parts) > 1
    return _present(
        run=step.run or None,
        value=step.value,
        # A single contribution is the gradient itself.
        parts=[_part(part, structure) for part in step.parts] if fork else None,
        # The value has the summary of its last gradient already.
        stats=None if step.stats == records.values[step.value].gradient else _stats(step.stats),
        verdict=step.verdict,
        op=step.op,
        sent=[
            [sent.edge, sent.value, None if sent.stats is None else _number(sent.stats.norm)]
            for sent in step.sent
        ]
        or None,
        flops=step.flops or None,
        bytes=step.bytes or None,
        seconds=_number(step.seconds, 3),
        hooked=step.changed_by_hook or None,
        # The breakpoint "nan" also minds parts and what is sent, of which only norms are told.
        broken=None if finite(records, step) else True,
    )


def _forks(trace: Trace, rows: dict[int | None, int]) -> list[dict[str, Any]]:
    """Tell for each backward pass which fork is told of at which row, as in the table."""
    passes: dict[int, list[Backward]] = {}
    for step in trace.records.backward:
        passes.setdefault(step.run, []).append(step)
    return [
        _present(
            run=run or None,
            row=rows[step],
            value=fork.value,
            sides=[part.side for part in fork.parts] if fork.has_sides else None,
            shortcut=_number(fork.share("shortcut")),
            branch=_number(fork.share("branch")),
        )
        for run, visits in passes.items()
        for step, fork in forks_by_step(trace, visits).items()
        if step in rows
    ]


def _roles(part: Part, structure: Structure) -> list[Role]:
    return [] if part.consumer is None else structure.roles.get((part.consumer, part.slot), [])


def _part(part: Part, structure: Structure) -> dict[str, Any]:
    roles = _roles(part, structure)
    return _present(
        consumer=part.consumer,
        edge=part.edge,
        side=None if part.consumer is None else structure.side_of(part.consumer, part.slot),
        roles=[[role.side, role.join] for role in roles] or None,
        norm=None if part.stats is None else _number(part.stats.norm),
        cosine=_number(part.cosine, 5),
        share=_number(part.share),
    )


def _stats(stats: Stats | None) -> list[Any] | None:
    """Norm, RMS, mean, std, min, max, zeros, tiny, NaNs, infinities, size of the sample."""
    if stats is None:
        return None
    rough = (stats.rms, stats.mean, stats.std, stats.min, stats.max, stats.zeros, stats.tiny)
    return [
        _number(stats.norm),
        *[_number(x, 4) for x in rough],
        stats.nans,
        stats.infs,
        stats.sample,
    ]


def _thumbnail(picture: Thumbnail | None) -> list[Any] | None:
    if picture is None or not picture.pixels:
        return None
    return [picture.rows, picture.columns, _number(picture.scale, 4), picture.pixels]


def _ticks(records: Sequence[Records], layout: Layout) -> list[list[int | None]]:
    """The time line: kind, row, and the step of each trace.

    Two traces share it: steps in the same row, and gradients of parameters of the same name, are
    one tick.
    """
    lines = []
    for side, one in enumerate(records):
        rows = {row.steps[side]: number for number, row in enumerate(layout.rows)}
        lines.append([_tick(one, kind, index, rows) for kind, index in one.steps])
    if len(lines) == 1:
        return [[kind, row, index] for kind, row, index, _ in lines[0]]
    left, right = lines
    ticks: list[list[int | None]] = []
    matcher = difflib.SequenceMatcher(
        None, [each[3] for each in left], [each[3] for each in right], autojunk=False
    )
    for same, a, b, c, d in matcher.get_opcodes():
        if same == "equal":
            both = zip(left[a:b], right[c:d], strict=True)
            ticks += [[mine[0], mine[1], mine[2], yours[2]] for mine, yours in both]
        else:
            ticks += [[kind, row, index, None] for kind, row, index, _ in left[a:b]]
            ticks += [[kind, row, None, index] for kind, row, index, _ in right[c:d]]
    return ticks


def _tick(
    records: Records, kind: str, index: int, rows: dict[int | None, int]
) -> tuple[int, int | None, int, Hashable]:
    """Return a step's kind, its row, its number, and what it has in common with its twin."""
    if kind == "forward":
        step = records.forward[index]
        if step.vjp_of is None:
            return FORWARD, rows.get(index), index, (FORWARD, rows.get(index))
        row = _row_of(records, records.backward[step.vjp_of], rows)
        return INNER, row, index, (INNER, row, step.op, step.module)
    visit = records.backward[index]
    row = _row_of(records, visit, rows)
    value = records.values[visit.value]
    return BACKWARD, row, index, (BACKWARD, visit.run, row, value.op is None and value.name)


def _row_of(records: Records, visit: Backward, rows: dict[int | None, int]) -> int | None:
    """Find where a gradient belongs: at the op that made the value, or that first used it."""
    made = records.values[visit.value].op
    if made is not None:
        return rows.get(made)
    users = [part.consumer for part in visit.parts if part.consumer is not None]
    return rows.get(min(users)) if users else None


def _present(**entries: Any) -> dict[str, Any]:
    return {key: entry for key, entry in entries.items() if entry is not None}


def _number(x: float | None, digits: int = 6) -> float | str | None:
    """Round to significant digits; NaN and infinities become strings."""
    if x is None:
        return None
    if math.isnan(x):
        return "NaN"
    if math.isinf(x):
        return "Infinity" if x > 0 else "-Infinity"
    rounded = float(f"{x:.{digits}g}")
    if math.isinf(rounded):  # rounded up, past the largest number
        rounded = x
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded
