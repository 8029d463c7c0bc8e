"""The picture of a stepper: where one stands in the network, and what there is to see."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from ..layout import layout_of
from .captions import title_of
from .lines import Lines
from .sight import Sight
from .stops import Stop
from .table import Table
from .walk import State, Walk
from .words import Glyphs, number

if TYPE_CHECKING:
    from rich.text import Text

    from ..trace import Trace


class Scene:
    """Draws a walk.

    Parameters
    ----------
    walk : Walk
    beside : Trace or None
        Another trace, whose same step is shown as well.
    """

    def __init__(self, walk: Walk, beside: Trace | None) -> None:
        self.walk = walk
        self.traces: tuple[Trace, ...] = (walk.trace,) if beside is None else (walk.trace, beside)
        self.layout = layout_of(*(trace.structure for trace in self.traces))
        self.row_of = {
            row.steps[0]: number
            for number, row in enumerate(self.layout.rows)
            if row.steps[0] is not None
        }

    def row(self, stop: Stop) -> int | None:
        """Return the row of the layout that a stop belongs to; None for what lies outside."""
        records = self.walk.trace.records
        step: int | None = stop.steps[0]
        if stop.kind == "forward" and step is not None:
            owner = records.forward[step].vjp_of
            if owner is not None:
                step = records.values[records.backward[owner].value].op
        else:
            turn = records.backward[stop.steps[0]]
            made = records.values[turn.value].op
            step = turn.parts[0].consumer if made is None else made
        return None if step is None else self.row_of.get(step)

    def map(self, state: State, width: int, height: int, marks: Glyphs) -> list[Text]:
        """Draw the part of the table around where one stands, in at most `height` lines."""
        from rich.text import Text

        row = self.row(self.walk.stop(state))
        table = self._table(row)
        head, *rows = table.rows(width - 2, marks)
        if len(self.traces) > 1:  # the names stand above the headings
            head, *rows = rows
        here = None if row is None else table.lines.line_of_row[row]
        room = max(1, height - 1)
        first = min(max(0, (here or 0) - room // 2), max(0, len(rows) - room))
        found = [Text("  ") + head] if height > 3 else []
        for place in range(first, min(len(rows), first + room)):
            pointer = f"{marks.here} " if place == here else "  "
            line = Text(pointer, "bold") + rows[place]
            if place == here:
                line.stylize("bold")
            found.append(line)
        return found

    def _table(self, row: int | None) -> Table:
        """Make the table in which the block that one stands in is open."""
        opened = () if row is None else (self.layout.rows[row].group,)
        return Table(Lines(self.traces, opened, self.layout))

    def sight(self, state: State, width: int, marks: Glyphs) -> list[Text]:
        """Describe the stop, and what the other trace has in its place."""
        from rich.text import Text

        stop = self.walk.stop(state)
        found = Sight(self.walk.trace, width, marks).at(stop, state.pixel)
        if len(self.traces) > 1:
            told = self._beside(stop)
            found += [Text(line) for line in textwrap.wrap(told, width, subsequent_indent="  ")]
        return found

    def _beside(self, stop: Stop) -> str:
        """Compare with the same step of the other trace."""
        ours, theirs = self.traces[0], self.traces[1]
        name, row = title_of(theirs), self.row(stop)
        if row is None:
            return f"{name}: nothing to compare with"
        mine, other = self.layout.rows[row].steps[:2]
        if other is None or mine is None:
            joins = mine is not None and mine in self.walk.trace.structure.joins
            joins = joins and self.layout.has_block(row, 1)
            return f"{name}: " + ("no shortcut here" if joins else "no such step")
        values = [
            trace.records.values[trace.records.forward[step].output]
            for trace, step in ((ours, mine), (theirs, other))
        ]
        what = "|value|" if stop.kind == "forward" else "|gradient|"
        seen = [v.stats if stop.kind == "forward" else v.gradient for v in values]
        if seen[0] is None or seen[1] is None:
            return f"{name}: has the same step"
        ratio = f", ratio {number(seen[0].norm / seen[1].norm)}" if seen[1].norm else ""
        return (
            f"{name}: {what} of {values[1].name} is {number(seen[1].norm)}, here"
            f" {number(seen[0].norm)}{ratio}"
        )
