"""Line charts as SVG inside a page: drawn in milliseconds, and of the page's own colours.

Matplotlib draws the pictures of `minires.lab`. These are for pages that are written anew while
something runs: text stays text, and one drawing serves light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Literal, NamedTuple

from .markup import escape
from .ticks import ticks

Point = tuple[float, float | None]
Colour = Literal["blue", "orange", "green", "purple", "ink", "soft"]

_WIDTH = 440
_PLOT = 175  # height of what the curves are drawn in
_LEFT, _RIGHT, _BOTTOM = 72, 10, 40
_LEGEND = 20  # height of a row of names
_LETTER = 6.9  # about the width of one
_LONGEST = 46  # letters of a curve's name
_MOST = 600  # points of a line: more than it has pixels


class Curve(NamedTuple):
    """One line of a chart.

    Attributes
    ----------
    name : str
        In the legend; "" leaves it out.
    points : sequence of (x, y)
        Ordered by x. The line is broken where y is None or not finite.
    colour : str
    style : {"line", "dashed", "thin", "dots"}
        Colour is never the only cue.
    """

    name: str
    points: Sequence[Point]
    colour: Colour = "blue"
    style: Literal["line", "dashed", "thin", "dots"] = "line"


class Axis(NamedTuple):
    """What one direction of a chart means.

    Attributes
    ----------
    label : str
    log : bool
        Equal distances are equal ratios; what is not positive is left out.
    low, high : float, optional
        What the axis reaches at least.
    whole : bool
        There is nothing between whole numbers, such as those of epochs.
    """

    label: str
    log: bool = False
    low: float | None = None
    high: float | None = None
    whole: bool = False


class Mark(NamedTuple):
    """A vertical line, and what it says above.

    Attributes
    ----------
    x : float
    name : str
    """

    x: float
    name: str = ""


def chart(
    about: str, curves: Sequence[Curve], x: Axis, y: Axis, *, marks: Sequence[Mark] = ()
) -> str:
    """Draw curves as an SVG element that `page` gives its colours.

    Parameters
    ----------
    about : str
        What the chart shows, for those who cannot see it.
    curves : sequence of Curve
    x, y : Axis
    marks : sequence of Mark

    Returns
    -------
    str

    Examples
    --------
    >>> drawn = chart("A line", [Curve("loss", [(1, 2.0), (2, 1.0)])], Axis("epoch"), Axis("loss"))
    >>> drawn[:29], drawn.count('<path class="blue line"')  # the curve, and its legend
    ('<svg class="chart" role="img"', 2)
    """
    shown = [curve._replace(points=_thinned(_drawable(curve.points, y.log))) for curve in curves]
    values = [value for curve in shown for _, value in curve.points if value is not None]
    places = [place for curve in shown for place, _ in curve.points] + [m.x for m in marks]
    names, top = _legend([curve for curve in shown if _is_seen(curve)])
    top += 6 + 14 * any(mark.name for mark in marks)
    across = _Scale(x, places, _LEFT, _WIDTH - _RIGHT)
    upward = _Scale(y, values, top + _PLOT, top)
    pieces = [
        *_grid(across, upward, x.label, y.label),
        *(_mark(mark, across, top) for mark in marks),
        *(_line(curve, across, upward) for curve in shown),
        names,
    ]
    if not values:
        middle = (_LEFT + _WIDTH) / 2, top + _PLOT / 2
        pieces.append(_text(*middle, "nothing measured yet", "middle"))
    return (
        f'<svg class="chart" role="img" viewBox="0 0 {_WIDTH} {top + _PLOT + _BOTTOM:g}"'
        f' aria-label="{escape(about)}">\n' + "\n".join(pieces) + "\n</svg>"
    )


class _Scale:
    """Where a value stands, in the SVG's units."""

    def __init__(self, axis: Axis, values: Sequence[float], start: float, end: float) -> None:
        self.measures, self.whole = bool(values), axis.whole
        reached = [*values, *(edge for edge in (axis.low, axis.high) if edge is not None)]
        if axis.log:
            reached = [value for value in reached if value > 0]
        low, high = min(reached, default=0.0), max(reached, default=1.0)
        self.log = axis.log and low > 0
        if low == high:
            low, high = (low / 2, high * 2) if self.log else (low - (low != axis.low), high + 1)
        elif self.log:  # a little room, so that a line does not run along the edge
            room = (high / low) ** 0.04
            low, high = low / room, high * room
        self.low, self.high, self.start, self.end = low, high, start, end

    def __call__(self, value: float) -> float:
        of = math.log if self.log else float
        share = (of(value) - of(self.low)) / (of(self.high) - of(self.low))
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        found = ticks(self.low, self.high, self.log)
        return [value for value in found if value.is_integer() or not self.whole]


def _is_seen(curve: Curve) -> bool:
    return any(value is not None for _, value in curve.points)


def _drawable(points: Iterable[Point], log: bool) -> list[Point]:
    def is_drawn(value: float | None) -> bool:
        return value is not None and math.isfinite(value) and (value > 0 or not log)

    return [(x, value if is_drawn(value) else None) for x, value in points]


def _thinned(points: list[Point]) -> list[Point]:
    """Keep of each of some stretches the lowest and the highest point: no spike is lost."""
    if len(points) <= _MOST:
        return points
    size = math.ceil(2 * len(points) / _MOST)
    kept: list[Point] = []
    for start in range(0, len(points), size):
        stretch = range(start, min(start + size, len(points)))
        there = [(value, i) for i in stretch if (value := points[i][1]) is not None]
        ends = {min(there)[1], max(there)[1]} if there else {start}
        kept += [points[i] for i in sorted(ends)]
    return kept


def _line(curve: Curve, across: _Scale, upward: _Scale) -> str:
    broken = groupby(curve.points, key=lambda point: point[1] is None)
    runs = [
        [f"{across(x):.1f} {upward(value):.1f}" for x, value in run if value is not None]
        for nothing, run in broken
        if not nothing
    ]
    # A point alone makes no line: it is a dot.
    drawn = {curve.style: "", "dots": ""}
    for run in runs:
        if curve.style == "dots" or len(run) == 1:
            drawn["dots"] += "".join(f"M{place}h0" for place in run)
        else:
            drawn[curve.style] += "M" + "L".join(run)
    return "".join(
        f'<path class="{curve.colour} {style}" d="{d}"/>' for style, d in drawn.items() if d
    )


def _mark(mark: Mark, across: _Scale, top: float) -> str:
    x = across(mark.x)
    line = f'<path class="mark" d="M{x:.1f} {top}v{_PLOT}"/>'
    if not mark.name:
        return line
    half = len(mark.name) * _LETTER / 2
    return line + _text(
        min(max(x, _LEFT + half), _WIDTH - _RIGHT - half), top - 5, mark.name, "middle"
    )


def _grid(across: _Scale, upward: _Scale, across_label: str, upward_label: str) -> Iterable[str]:
    right, bottom = across.end, upward.start
    for value in upward.ticks() if upward.measures else ():
        y = upward(value)
        yield f'<path class="lattice" d="M{_LEFT} {y:.1f}H{right}"/>'
        yield _text(_LEFT - 6, y + 4, _number(value), "end")
    for value in across.ticks():
        yield _text(across(value), bottom + 17, _number(value), "middle")
    yield f'<path class="axis" d="M{_LEFT} {bottom}H{right}"/>'
    yield _text((_LEFT + right) / 2, bottom + _BOTTOM - 6, across_label, "middle")
    middle = (upward.end + bottom) / 2
    yield _text(13, middle, upward_label, "middle", f' transform="rotate(-90 13 {middle:.1f})"')


def _number(value: float) -> str:
    """Write a round number in so few letters that there is room for the axis' name beside it."""
    if value and not 1e-3 <= abs(value) < 1e5:
        digits, power = f"{value:.5e}".split("e")
        return f"{float(digits):g}e{int(power)}"
    return f"{value:g}"


def _legend(curves: Sequence[Curve]) -> tuple[str, float]:
    """Name the curves in as many rows as it takes; return them, and where they end."""
    pieces, x, y = [], float(_LEFT), 14.0
    for curve in curves:
        if curve.name:
            name = curve.name if len(curve.name) <= _LONGEST else curve.name[: _LONGEST - 1] + "…"
            width = 34 + len(name) * _LETTER
            if x > _LEFT and x + width > _WIDTH:
                x, y = _LEFT, y + _LEGEND
            sample = f"M{x + 11:.1f} {y - 4}h0" if curve.style == "dots" else f"M{x} {y - 4}h22"
            pieces.append(f'<path class="{curve.colour} {curve.style}" d="{sample}"/>')
            pieces.append(_text(x + 28, y, name, "start"))
            x += width + 14
    return "\n".join(pieces), y + 4 if pieces else 0.0


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'
