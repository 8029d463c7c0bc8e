"""How the static picture is put together: lines, bars, arcs, and the words about them."""

from __future__ import annotations

import textwrap
import zlib
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from .captions import extent, lines_of_news, names_of, sums
from .lanes import Bow, placed
from .lines import Cell, Line, Lines
from .svg_style import STYLE
from .words import number, only, percent, scale_of, spoken

if TYPE_CHECKING:
    from ..forks import Fork

_MARGIN = 16
_LABELS = 200
_LANE = 9
_LANES = 12
_BARS = 260
_NUMBERS = 195
_PITCH = 22


class Picture:
    """Collects the pieces of a picture, from the top down.

    Parameters
    ----------
    lines : Lines
    """

    def __init__(self, lines: Lines) -> None:
        self.traces, self.lines = lines.traces, lines
        self.names = names_of(*self.traces)
        norms = [
            norm
            for line in lines.lines
            for cell in line.cells
            if cell is not None
            for norm in _norms(cell)
        ]
        self.scale = scale_of(norms)
        self.pieces: list[str] = []
        sides = range(len(self.traces))
        self.bows = [sorted(set(lines.bows(side)), key=_length) for side in sides]
        self.arcs = [placed(bows, _LANES) for bows in self.bows]
        lanes = max(lanes for _, lanes, _ in self.arcs)
        self.arc_width = _LANE * lanes + 20
        self.pane = self.arc_width + _BARS + _NUMBERS
        self.width = 2 * _MARGIN + _LABELS + self.pane * len(self.traces)
        self.top = 0

    def text(self) -> str:
        """Draw everything, and return the whole file."""
        y = self._head()
        self.top = y + 46
        for side in range(len(self.traces)):
            self._scale(side)
        for number_, line in enumerate(self.lines.lines):
            self._line(number_, line)
        for side in range(len(self.traces)):
            self._road(side)
            self._arcs(side)
        height = self._foot(self.top + _PITCH * len(self.lines.lines) + 10)
        title = "Gradient flow: " + " beside ".join(self.names)
        body = "\n".join(self.pieces)
        # Several pictures may stand in one page; their names must differ.
        name = f"mrt{zlib.crc32(body.encode()):08x}"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="mrt" role="img"'
            f' aria-labelledby="{name}t {name}d" width="{self.width}" height="{height}"'
            f' viewBox="0 0 {self.width} {height}">\n'
            f'<title id="{name}t">{_safe(title)}</title>\n'
            f'<desc id="{name}d">{_safe(self._description())}</desc>\n'
            f"<style>{STYLE}</style>\n"
            f'<rect class="mrt-ground" width="{self.width}" height="{height}"/>\n{body}\n</svg>\n'
        )

    def _description(self) -> str:
        """Say in words what the picture shows, for who cannot see it."""
        told = self._extents() + lines_of_news(self.traces)
        for line in self.lines.lines:
            for name, cell in zip(self.names, line.cells, strict=True):
                if cell is not None and cell.gradient is not None:
                    whose = f" in {name}" if len(self.names) > 1 else ""
                    told.append(f"{line.path} {line.op}{whose}: {_told(cell)}")
        return ". ".join(told)

    def _extents(self) -> list[str]:
        return [extent(*each) for each in zip(self.traces, self.names, strict=True)]

    # -- above and below -------------------------------------------------------------------------

    def _head(self) -> int:
        y = _MARGIN + 14
        for told in self._extents():
            y = self._tell(y, told, "mrt-title")
        for told in lines_of_news(self.traces):
            y = self._tell(y, told, "mrt-alarm")
        return y

    def _foot(self, y: int) -> int:
        left = sum(left_out for _, _, left_out in self.arcs)
        notes = []
        if self.scale is not None:
            notes.append("bar: norm of the gradient of the line's output, logarithmic")
        if any(bow.shortcut for bows in self.bows for bow in bows):
            notes.append(
                "below it: what came back to the block's input through shortcut (dashed) and"
                " branch (solid), with their signed shares, which sum to 100%"
            )
        both = zip(self.names, self.traces, strict=True)
        notes += [f"{name}: {told}" for name, trace in both if (told := sums(trace))]
        if left:
            notes.append(
                f"{spoken(left, 'arc')} not drawn: there are more than {_LANES} side by side"
            )
        y += 17
        for note in notes:
            y = self._tell(y, note, "mrt-dim")
        return y

    def _scale(self, side: int) -> None:
        """Draw the powers of ten behind the bars, and what stands in the columns."""
        x = self._bars_at(side)
        bottom = self.top + _PITCH * len(self.lines.lines)
        if len(self.traces) > 1:
            self._say(x, self.top - 34, self.names[side], "mrt-title")
        if self.scale is None:
            return
        low, high = self.scale
        every = max(1, -(-(high - low) // 5))
        for power in range(low, high + 1):
            at = x + _BARS * (power - low) / (high - low)
            self._add(f'<path class="mrt-grid" d="M{at:g} {self.top - 6}V{bottom}"/>')
            if (high - power) % every == 0:
                self._say(at, self.top - 12, f"{10.0**power:g}", "mrt-dim", "middle")
        self._say(x + _BARS + 62, self.top - 12, "norm", "mrt-dim", "end")
        if any(bow.shortcut for bow in self.bows[side]):
            self._say(x + _BARS + 124, self.top - 12, "shortcut", "mrt-ink-s", "end")
            self._say(x + _BARS + 176, self.top - 12, "branch", "mrt-ink-b", "end")

    # -- lines -----------------------------------------------------------------------------------

    def _line(self, place: int, line: Line) -> None:
        y = self._y(place)
        indent = 14 if line.inside else 0
        style = "mrt-block" if line.kind != "step" else ""
        told = line.label if line.kind == "step" or not line.op else f"{line.label}  {line.op}"
        if line.kind == "step" and line.op:
            told = f"{line.label}  {line.op}"
        self._add("<g>")
        self._add(f"<title>{_safe(f'{line.path} {line.op}')}</title>")
        self._say(_MARGIN + indent, y + 4, _cut(only(told), 30 - indent // 7), style)
        self._add("</g>")
        if line.kind == "head":
            return
        for side, cell in enumerate(line.cells):
            if cell is None:
                shortcut = self.lines.lacks_shortcut(line, side)
                self._ghost(side, y, "no shortcut here" if shortcut else "no such step")
            else:
                self._cell(side, y, cell)

    def _ghost(self, side: int, y: float, told: str) -> None:
        x = self._bars_at(side)
        self._add(
            f'<rect class="mrt-ghost" x="{x}" y="{y - 8:g}" width="{_BARS}" height="16" rx="3"/>'
        )
        self._say(x + 8, y + 4, told, "mrt-dim")

    def _cell(self, side: int, y: float, cell: Cell) -> None:
        x, gradient = self._bars_at(side), cell.gradient
        self._add(f"<g><title>{_safe(f'{cell.value.name}: {_told(cell)}')}</title>")
        if gradient is None:
            if self.traces[side].records.backward:
                self._say(x + 4, y + 4, "no gradient", "mrt-dim")
            self._add("</g>")
            return
        fork = cell.fork
        sides = fork is not None and fork.has_sides
        if self.scale is not None and gradient.finite and gradient.norm > 0:
            width = max(1.5, _BARS * self.scale.fraction(gradient.norm))
            thick = 6 if sides else 10
            self._add(
                f'<rect class="mrt-bar" x="{x}" y="{y - (8 if sides else 5):g}"'
                f' width="{width:.1f}" height="{thick}"/>'
            )
        elif gradient.finite:  # log has no place for it: it stands before the scale
            self._say(x + 4, y + 4, "0", "mrt-block")
        else:
            self._say(x + 4, y + 4, _not_finite(cell), "mrt-alarm")
        self._say(x + _BARS + 62, y + 4, number(gradient.norm), "", "end")
        if fork is not None and sides:
            self._sides(x, y, cell, fork)
        self._add("</g>")

    def _sides(self, x: float, y: float, cell: Cell, fork: Fork) -> None:
        """Draw what came through the shortcut and through the branch, and write their shares."""
        for which, style, down, column in (("shortcut", "s", 1.5, 124), ("branch", "b", 6, 176)):
            norms = [part.norm for part in fork.parts if part.side == which]
            norm = norms[0] if len(norms) == 1 else None
            if self.scale is not None and norm is not None and 0 < norm < float("inf"):
                end = x + max(1.5, _BARS * self.scale.fraction(norm))
                self._add(f'<path class="mrt-{style}" d="M{x} {y + down:g}H{end:.1f}"/>')
            self._say(
                x + _BARS + column, y + 4, percent(cell.share(which)), f"mrt-ink-{style}", "end"
            )

    # -- arcs ------------------------------------------------------------------------------------

    def _road(self, side: int) -> None:
        """Draw what one line hands to the next, and the lines' marks."""
        x = self._bars_at(side) - 10
        there = [
            (place, cell)
            for place, line in enumerate(self.lines.lines)
            if line.kind != "head" and (cell := line.cells[side]) is not None
        ]
        ways = [f"M{x} {self._y(a):g}V{self._y(b):g}" for a, b in self.lines.ways(side)]
        if ways:
            self._add(f'<path class="mrt-road" d="{"".join(ways)}"/>')
        for place, cell in there:
            radius = 4.5 if cell.joins else 3
            style = "mrt-join" if cell.joins else "mrt-node"
            y = self._y(place)
            self._add(f'<circle class="{style}" cx="{x}" cy="{y:g}" r="{radius}"/>')
            if cell.joins:
                self._add(f'<path class="mrt-road" d="M{x - 3} {y:g}h6M{x} {y - 3:g}v6"/>')

    def _arcs(self, side: int) -> None:
        for bow, lane in self.arcs[side][0]:
            self._arc(side, bow, lane, "mrt-s" if bow.shortcut else "mrt-arc")
        if len(self.traces) == 2:
            own = set(self.bows[side])
            for bow, lane in self.arcs[1 - side][0]:
                if bow.shortcut and bow not in own:
                    self._arc(side, bow, lane, "mrt-ghost")

    def _arc(self, side: int, bow: Bow, lane: int, style: str) -> None:
        node = self._bars_at(side) - 10
        # Two that meet at a line are kept apart.
        x, top, bottom = node - 11 - _LANE * lane, self._y(bow.start) + 3, self._y(bow.end) - 3
        round_ = min(7.0, (bottom - top) / 2)
        path = (
            f"M{node - 4} {top:g}H{x + round_:g}Q{x} {top:g} {x} {top + round_:g}"
            f"V{bottom - round_:g}Q{x} {bottom:g} {x + round_:g} {bottom:g}H{node - 5}"
        )
        self._add(f'<path class="{style}" d="{path}"/>')

    # -- writing ---------------------------------------------------------------------------------

    def _bars_at(self, side: int) -> int:
        return _MARGIN + _LABELS + self.pane * side + self.arc_width

    def _y(self, place: int) -> float:
        return self.top + _PITCH * (place + 0.5)

    def _add(self, piece: str) -> None:
        self.pieces.append(piece)

    def _tell(self, y: int, text: str, style: str) -> int:
        """Write a sentence in as many lines as it needs; return where the next one goes."""
        # No letter of these fonts is wider than 7 pixels in the mean.
        for line in textwrap.wrap(text, (self.width - 2 * _MARGIN) // 7):
            self._say(_MARGIN, y, line, style)
            y += 18
        return y

    def _say(self, x: float, y: float, text: str, style: str = "", anchor: str = "") -> None:
        attributes = f' class="{style}"' if style else ""
        attributes += f' text-anchor="{anchor}"' if anchor else ""
        self._add(f'<text x="{x:g}" y="{y:g}"{attributes}>{_safe(text)}</text>')


def _safe(text: str) -> str:
    """Make any text fit for XML, which has no place for control characters either."""
    return escape(only(text))


def _cut(text: str, most: int) -> str:
    """Keep a name's end: the beginning is what neighbours have in common."""
    return text if len(text) <= most else "…" + text[1 - most :]


def _length(bow: Bow) -> tuple[int, Bow]:
    return bow.end - bow.start, bow


def _norms(cell: Cell) -> list[float]:
    """All norms that the bars of a cell stand for."""
    found = [] if cell.gradient is None else [cell.gradient.norm]
    parts = () if cell.fork is None else cell.fork.parts
    return found + [part.norm for part in parts if part.side]


def _not_finite(cell: Cell) -> str:
    assert cell.gradient is not None
    return f"{cell.gradient.nans} NaN" if cell.gradient.nans else f"{cell.gradient.infs} infinite"


def _told(cell: Cell) -> str:
    """Say a cell in words."""
    if cell.gradient is None:
        return "no gradient"
    told = f"gradient norm {number(cell.gradient.norm)}"
    for side in ("shortcut", "branch"):
        if (share := cell.share(side)) is not None:
            told += f", {side} {percent(share)}"
    return told
