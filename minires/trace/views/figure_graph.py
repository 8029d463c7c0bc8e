"""The computation graph as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .captions import title_of
from .figure_parts import axes_or_new, caption, colours_of, draw_arc, ink_of, say_nothing
from .lanes import placed
from .lines import Lines
from .words import only, spoken

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..trace import Trace
    from .lines import Expand

# Graphs of up to so many steps are drawn with open blocks.
_SMALL = 120


def plot_graph(trace: Trace, ax: Axes | None = None, expand: Expand | None = None) -> Axes:
    """Draw the computation graph: steps from top to bottom, every use further down as an arc.

    Parameters
    ----------
    trace : Trace
    ax : matplotlib.axes.Axes, optional
    expand : bool, str or iterable of str, optional
        Which blocks are opened; see `Trace.table`. By default all, of a graph of up to 120 steps,
        and else none.

    Returns
    -------
    matplotlib.axes.Axes
    """
    if expand is None:
        expand = len(trace.records.forward) <= _SMALL
    lines = Lines([trace], expand)
    arcs, lanes, left_out = placed(
        sorted(set(lines.bows(0)), key=lambda bow: (bow.end - bow.start, bow)), 16
    )
    ax = axes_or_new(ax, (4.5 + 0.12 * lanes, max(2.5, 0.17 * len(lines.lines) + 0.6)))
    if not lines.lines:
        return say_nothing(ax, "nothing was recorded")
    ink = ink_of(ax)
    blue, _ = colours_of(ax)
    at = [place for place, line in enumerate(lines.lines) if line.kind != "head"]
    ax.plot([0] * len(at), at, color=ink, linewidth=0.8, marker="o", markersize=3)
    for place, line in enumerate(lines.lines):
        text = only(f"{line.label}  {line.op}").replace("$", r"\$")
        weight = "normal" if line.kind == "step" else "bold"
        left = 0.8 if line.inside else 0.4
        ax.text(left, place, text, va="center", fontsize=8, fontweight=weight, clip_on=True)
        if line.cells[0] is not None and line.cells[0].joins and line.kind != "head":
            ax.plot(0, place, marker="o", markersize=7, markerfacecolor="none", color=ink)
    for bow, lane in arcs:
        draw_arc(ax, bow, 0.45 * (lane + 1), blue if bow.shortcut else ink)
    ax.set_xlim(-0.45 * (lanes + 1), 6)
    ax.set_ylim(len(lines.lines) - 0.5, -0.5)
    ax.set_axis_off()
    more = f", {spoken(left_out, 'arc')} not drawn" if left_out else ""
    return caption(ax, f"{title_of(trace)}: {len(trace.records.forward)} steps{more}")
