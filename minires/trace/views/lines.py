"""The lines of a table of traces: blocks, opened or collapsed to one line, and what each holds."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from ..forks import Fork, forks_by_step, last_visits
from ..layout import Layout, layout_of
from ..records import Forward, Stats, Value
from ..structure import is_join
from .lanes import Bow

if TYPE_CHECKING:
    from ..trace import Trace

Expand = bool | str | Iterable[str] | Iterable[int]


@dataclass(frozen=True)
class Cell:
    """What one trace has to show in one line.

    Attributes
    ----------
    steps : tuple of int
        The forward steps of the line.
    value : Value
        The output of the last of them.
    fork : Fork or None
        Where a shortcut ends: what met at the value that it began at, the block's input. Else,
        if the output was used several times, what met there.
    joins : bool
        Whether a residual addition is among the steps.
    flops : int
    seconds : float
        Of forward and backward together.
    """

    steps: tuple[int, ...]
    value: Value
    fork: Fork | None
    joins: bool
    flops: int
    seconds: float

    @property
    def gradient(self) -> Stats | None:
        """Of the output's gradient; None before backward has come by."""
        return self.value.gradient

    @property
    def sick(self) -> bool:
        """Whether the value or its gradient has NaN or infinite entries."""
        return any(s is not None and not s.finite for s in (self.value.stats, self.gradient))

    def share(self, side: str) -> float | None:
        """Sum the shares of the fork's contributions on one side; None where there are none."""
        return None if self.fork is None else self.fork.share(side)


@dataclass(frozen=True)
class Line:
    """One line.

    Attributes
    ----------
    kind : {"block", "head", "step"}
        A block that is collapsed, the heading of one that is open, or a step.
    path : str
        The block's module; the op where there is none.
    label : str
        What the line is called, inside its block.
    op : str
        The op; for a block, what it consists of.
    rows : range
        Of the layout.
    cells : tuple of Cell or None
        For each trace; None where it has no such step.
    inside : bool
        Whether it is a step of a block that is open.
    """

    kind: Literal["block", "head", "step"]
    path: str
    label: str
    op: str
    rows: range
    cells: tuple[Cell | None, ...] = field(repr=False)
    inside: bool = False


class Lines:
    """The lines of one trace, or of two side by side.

    Parameters
    ----------
    traces : sequence of Trace
    expand : bool, str or iterable of str or int
        Which blocks are open: all, none, or those whose path matches a pattern such as
        ``"layer1.*"``; or the numbers of groups of the layout.
    layout : Layout, optional
        Of the traces, where it is known already.

    Raises
    ------
    KeyError
        If a pattern matches no block; near ones are suggested.
    """

    def __init__(
        self, traces: Sequence[Trace], expand: Expand = False, layout: Layout | None = None
    ) -> None:
        self.traces = tuple(traces)
        self.layout = layout or layout_of(*(trace.structure for trace in traces))
        self._open = self._opened(expand)
        self._forks = [forks_by_step(trace, last_visits(trace)) for trace in self.traces]

    def _opened(self, expand: Expand) -> set[int]:
        groups = self.layout.groups
        if isinstance(expand, bool):
            return set(range(len(groups))) if expand else set()
        found = set()
        for pattern in [expand] if isinstance(expand, str) else expand:
            if isinstance(pattern, int):
                found.add(pattern)
                continue
            matching = {i for i, group in enumerate(groups) if fnmatchcase(group.path, pattern)}
            if not matching:
                near = difflib.get_close_matches(pattern, [g.path for g in groups], 3, 0.4)
                advice = f"; near: {', '.join(near)}" if near else ""
                raise KeyError(f"expand: no block of the trace is called {pattern!r}{advice}")
            found |= matching
        return found

    @cached_property
    def lines(self) -> list[Line]:
        """From the first step to the loss."""
        found = []
        for number, group in enumerate(self.layout.groups):
            if len(group.rows) == 1:
                found.append(self._step(group.rows.start, group.path, alone=True))
            elif number in self._open:
                found.append(self._block("head", group.path, group.rows))
                found += [self._step(row, group.path, alone=False) for row in group.rows]
            else:
                found.append(self._block("block", group.path, group.rows))
        return found

    @cached_property
    def line_of_row(self) -> dict[int, int]:
        """For each row of the layout the line that shows it."""
        return {
            row: number
            for number, line in enumerate(self.lines)
            if line.kind != "head"
            for row in line.rows
        }

    def bows(self, side: int) -> list[Bow]:
        """Return the arcs of one trace between lines; those within a collapsed block vanish."""
        found = []
        for arc in self.layout.arcs[side]:
            start, end = self.line_of_row[arc.start], self.line_of_row[arc.end]
            shortcut = arc.side == "shortcut"
            if start != end and (end - start > 1 or shortcut or self._branches_off(start, end)):
                found.append(Bow(start, end, shortcut))
        return found

    def ways(self, side: int) -> list[tuple[int, int]]:
        """Return the lines of one trace of which the next uses something, each with the next."""
        arcs, handed = self.layout.arcs[side], set(self.layout.handed[side])
        joined = {(self.line_of_row[arc.start], self.line_of_row[arc.end]) for arc in arcs}
        there = [
            (number, [row for row in line.rows if self.layout.rows[row].steps[side] is not None])
            for number, line in enumerate(self.lines)
            if line.kind != "head" and line.cells[side] is not None
        ]
        return [
            (number, following)
            for (number, rows), (following, _) in itertools.pairwise(there)
            if rows[-1] in handed or (number, following) in joined
        ]

    def lacks_shortcut(self, line: Line, side: int) -> bool:
        """Tell whether all that a trace lacks in a line is the shortcut, not the whole block."""
        joins = any(cell is not None and cell.joins for cell in line.cells)
        return line.cells[side] is None and joins and self.layout.has_block(line.rows[0], side)

    def _branches_off(self, start: int, end: int) -> bool:
        """Tell whether a use by the next line is no mere handing on: both lines are steps."""
        return self.lines[start].kind == "step" == self.lines[end].kind

    def _block(self, kind: Literal["block", "head"], path: str, rows: range) -> Line:
        cells = tuple([self._cell(side, rows) for side in range(len(self.traces))])
        count = max(len(cell.steps) for cell in cells if cell is not None)
        return Line(kind, path, path, f"{count} ops", rows, cells)

    def _step(self, row: int, path: str, *, alone: bool) -> Line:
        rows = range(row, row + 1)
        cells = tuple([self._cell(side, rows) for side in range(len(self.traces))])
        step = self._forward(row)
        # One that stands alone may be of a module further inside than what its block is named by.
        name = step.module or path if alone else step.module.removeprefix(path).lstrip(".")
        label = name or step.op
        op = "" if step.op == label else step.op
        return Line("step", path, label, op, rows, cells, not alone)

    def _forward(self, row: int) -> Forward:
        for trace, step in zip(self.traces, self.layout.rows[row].steps, strict=True):
            if step is not None:
                return trace.records.forward[step]
        raise AssertionError("a row belongs to at least one trace")

    def _cell(self, side: int, rows: range) -> Cell | None:
        steps = tuple(
            step for row in rows if (step := self.layout.rows[row].steps[side]) is not None
        )
        if not steps:
            return None
        records = self.traces[side].records
        done = [records.forward[step] for step in steps]
        met = [self._forks[side][step] for step in steps if step in self._forks[side]]
        if len(steps) > 1:  # of a collapsed block only what concerns it as a whole
            met = [fork for fork in met if fork.has_sides or fork.value == done[-1].output]
            met.sort(key=lambda fork: fork.value)  # of several additions, that at the block's input
        return Cell(
            steps,
            records.values[done[-1].output],
            met[0] if met else None,
            any(map(is_join, done)),
            sum(step.flops for step in done),
            sum(step.seconds + self._backward_seconds[side].get(step.index, 0) for step in done),
        )

    @cached_property
    def _backward_seconds(self) -> list[dict[int, float]]:
        """For each trace how long the VJP of a forward step took."""
        return [
            {turn.op: turn.seconds for turn in trace.records.backward if turn.op is not None}
            for trace in self.traces
        ]
