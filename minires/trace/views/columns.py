"""The columns of a table of traces, and fitting them into a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from .captions import title_of
from .lanes import draw_lanes
from .lines import Cell, Line, Lines
from .words import Glyphs, Scale, amount, number, only, percent, shape

if TYPE_CHECKING:
    from rich.text import Text

    from ..records import Stats

# The two sides of a residual block have colours, but are known by their marks and columns, too.
SHORTCUT, BRANCH, ALARM = "dodger_blue2", "dark_orange3", "bold red"
_LONGEST_BAR, _SHORTEST_BAR, _LONGEST_NAME = 24, 6, 26
_MOST_LANES = 6


class Column(NamedTuple):
    """A column of a table.

    Attributes
    ----------
    heading : str
    rank : int
        The higher, the sooner the column gives way where there is no room; 0 never does. Equals
        come and go together.
    cells : list of Text
    left : bool
        Whether the cells stand at the column's left edge.
    norms : list of float or None, optional
        For a column of bars, which takes what room there is, what they measure.
    pane : str
        A heading above this column and those that follow it.
    whose : bool
        Whether the cells are names of modules, whose beginnings are left out where there is no
        room.
    """

    heading: str
    rank: int
    cells: list[Text]
    left: bool = False
    norms: list[float | None] | None = None
    pane: str = ""
    whose: bool = False


def columns_of(lines: Lines, marks: Glyphs) -> list[Column]:
    """Make the columns, widest version.

    Parameters
    ----------
    lines : Lines
        Of one trace or of two.
    marks : Glyphs

    Returns
    -------
    list of Column
    """
    from rich.text import Text

    def column(
        heading: str, rank: int, tell: Callable[[Cell], str], side: int = 0, style: str = ""
    ) -> Column:
        cells = []
        for line in lines.lines:
            cell = line.cells[side]
            alarm = cell is not None and cell.sick and "|" in heading
            text = "" if line.kind == "head" or cell is None else tell(cell)
            cells.append(Text(text, ALARM if alarm else style))
        return Column(heading, rank, cells)

    def gradient(side: int) -> list[Column]:
        cells = [None if line.kind == "head" else line.cells[side] for line in lines.lines]
        seen = [None if cell is None else cell.gradient for cell in cells]
        norms = [None if stats is None else stats.norm for stats in seen]
        told = column("|gradient|", 0, lambda cell: _norm(cell.gradient, marks), side)
        for place, line in enumerate(lines.lines):
            if ghost := _ghost(lines, line, side):
                told.cells[place] = Text(ghost, "dim")
        bars = [Column("", 5, [Text()] * len(norms), True, norms)] if any(norms) else []
        return [told, *bars]

    def shares(side: int) -> list[Column]:
        forks = [cell.fork for line in lines.lines if (cell := line.cells[side]) and cell.fork]
        if not any(fork.has_sides for fork in forks):  # uses of equal rank alone
            return [column("", 1, _uses, side)] if forks else []
        return [
            column(
                "shortcut",
                1,
                lambda cell: (
                    percent(cell.share("shortcut"), marks) if _joins(cell) else _uses(cell)
                ),
                side,
                SHORTCUT,
            ),
            column(
                "branch",
                1,
                lambda cell: percent(cell.share("branch"), marks) if _joins(cell) else "",
                side,
                BRANCH,
            ),
        ]

    names = [Text(_name(line), "bold" * (line.kind != "step")) for line in lines.lines]
    blocks = Column("block", 0, names, True, whose=True)
    kinds = [Text(only(line.op), "dim") for line in lines.lines]
    if len(lines.traces) == 1:
        return [
            _lanes(lines, 0, marks),
            blocks,
            Column("op", 6, kinds, True),
            column("output", 7, lambda cell: shape(cell.value.shape, marks)),
            column("|value|", 8, lambda cell: _norm(cell.value.stats, marks)),
            *gradient(0),
            *shares(0),
            column("time", 9, lambda cell: amount(cell.seconds, "s", marks)),
            column("FLOP", 10, lambda cell: amount(cell.flops, "")),
        ]
    found = [blocks, Column("op", 8, kinds, True)]
    for side, trace in enumerate(lines.traces):
        found += [_lanes(lines, side, marks)._replace(pane=title_of(trace)), *gradient(side)]
        found += shares(side)
        found += [column("|value|", 9, lambda cell: _norm(cell.value.stats, marks), side)]
    return [*found, Column("ratio", 6, [Text(_ratio(line, marks)) for line in lines.lines])]


def fitted(columns: Sequence[Column], width: int, scale: Scale | None, marks: Glyphs) -> list[Text]:
    """Lay columns out in lines of at most `width` letters: the heading, then their cells."""
    from rich.cells import cell_len
    from rich.text import Text

    def needs(column: Column) -> int:
        if column.norms is not None:
            return _SHORTEST_BAR
        widest = max([cell_len(column.heading), *(cell.cell_len for cell in column.cells)])
        return min(widest, names) if column.whose else widest

    names = _LONGEST_NAME
    # The important ones first, as long as there is room; equals come or go together.
    room, chosen = width + 1, set()
    for rank in sorted({column.rank for column in columns}):
        wide = sum(needs(column) + 1 for column in columns if column.rank == rank)
        if wide <= room or not rank:
            room -= wide
            chosen.add(rank)
    kept = [column for column in columns if column.rank in chosen]
    # Names take of the room that is left what they need, bars the rest.
    short = sum(map(needs, kept))
    names += max(0, room)
    room -= sum(map(needs, kept)) - short
    bars = sum(column.norms is not None for column in kept)
    longest = min(_LONGEST_BAR, _SHORTEST_BAR + max(0, room) // max(1, bars))
    lines = [Text() for _ in range(len(kept[0].cells) + 1)]
    above = Text()
    for column in kept:
        cells, wide = column.cells, needs(column)
        if column.pane:
            above.pad_right(lines[0].cell_len - above.cell_len)
            above.append(f"{column.pane} ", "bold")
        if column.norms is not None:
            wide = longest
            cells = [Text(scale.bar(norm, wide, marks) if scale else "") for norm in column.norms]
        if column.whose:
            cells = [_shortened(cell, wide, marks) for cell in cells]
        for line, cell in zip(lines, [Text(column.heading, "bold"), *cells], strict=True):
            cell.truncate(wide)
            gap = " " * (wide - cell.cell_len)
            line.append_text(cell + gap if column.left else Text(gap) + cell)
            line.append(" ")
    lines = [above, *lines] if above else lines
    for line in lines:
        line.rstrip()
        line.truncate(width)
    return lines


def _lanes(lines: Lines, side: int, marks: Glyphs) -> Column:
    """Draw the arcs and marks of one trace."""
    from rich.text import Text

    lanes = draw_lanes(len(lines.lines), lines.bows(side), _MOST_LANES, marks)
    cells = []
    for line, letters in zip(lines.lines, lanes.lines, strict=True):
        cell = line.cells[side]
        text = Text()
        for letter, shortcut in letters:
            text.append(letter, SHORTCUT if shortcut else "")
        if cell is None:
            text.append(marks.none, "dim")
        elif line.kind == "head":
            text.append(" ")
        else:
            text.append(marks.join if cell.joins else marks.step)
        cells.append(text)
    return Column("", 0, cells, True)


def _name(line: Line) -> str:
    return "  " * line.inside + only(line.label)


def _shortened(name: Text, most: int, marks: Glyphs) -> Text:
    """Leave out the beginning, which neighbours have in common: the numbers are at the end."""
    from rich.text import Text

    if len(name) <= most:
        return name
    return Text(marks.dots) + name[len(name) - most + len(marks.dots) :]


def _norm(stats: Stats | None, marks: Glyphs) -> str:
    if stats is None:
        return marks.none
    if stats.nans or stats.infs:
        return "NaN" if stats.nans else "inf"
    return number(stats.norm, marks)


def _joins(cell: Cell) -> bool:
    return cell.fork is not None and cell.fork.has_sides


def _uses(cell: Cell) -> str:
    return "" if cell.fork is None else f"{len(cell.fork.parts)} uses"


def _ghost(lines: Lines, line: Line, side: int) -> str:
    """Say what is missing where a trace lacks a step that the other one has."""
    if line.kind == "head" or line.cells[side] is not None:
        return ""
    return "no shortcut" if lines.lacks_shortcut(line, side) else "no step"


def _ratio(line: Line, marks: Glyphs) -> str:
    """Compare the gradients of two traces: left by right."""
    left, right = (None if cell is None else cell.gradient for cell in line.cells)
    if line.kind == "head" or left is None or right is None or not right.norm:
        return ""
    return f"{marks.times}{number(left.norm / right.norm, marks)}"
