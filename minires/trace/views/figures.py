"""Figures of a trace with matplotlib: each function draws into the axes it is given.

They take the colours of text and ground from the style in use, light or dark. Without axes a figure
of its own is made, outside of pyplot's list: ``ax.figure`` shows in a notebook, and
``ax.figure.savefig(path)`` writes it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..layout import layout_of
from ..records import Spectrum
from ..spectrum import PathSpectrum
from .captions import names_of, title_of
from .figure_parts import (
    GROWS,
    SHRINKS,
    axes_or_new,
    caption,
    colours_of,
    ink_of,
    mark_unscaled,
    name_ticks,
    say_nothing,
)
from .words import decade, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..trace import Trace


def plot_gradient_flow(trace: Trace, ax: Axes | None = None, other: Trace | None = None) -> Axes:
    """Draw the norm of the gradient along the main road, in the order of the forward pass.

    Where a residual block begins, two marks show what came back there through the shortcut and
    through the branch. Norms do not add up; the line is their sum's.

    Parameters
    ----------
    trace : Trace
    ax : matplotlib.axes.Axes, optional
    other : Trace, optional
        A second one, such as the plain twin's: aligned by module path, on the same scale.

    Returns
    -------
    matplotlib.axes.Axes
    """
    traces = [trace] if other is None else [trace, other]
    ax = axes_or_new(ax, (9, 4.2))
    layout = layout_of(*(each.structure for each in traces))
    rows = [
        {row.steps[side]: place for place, row in enumerate(layout.rows)}
        for side in range(len(traces))
    ]
    if not any(each.records.backward for each in traces):
        return say_nothing(ax, "backward has not run: there is no gradient to see")
    ink = ink_of(ax)
    blue, orange = colours_of(ax)
    drawn: list[float] = []
    for side, (each, name) in enumerate(zip(traces, names_of(*traces), strict=True)):
        values = each.records.values
        road = [values[v] for v in each.structure.main_road if values[v].op in rows[side]]
        road.sort(key=lambda value: rows[side][value.op])
        if other is not None:  # where a residual network has one value, its twin may have many
            last = {layout.rows[rows[side][value.op]].group: value for value in road}
            road = list(last.values())
        x = [rows[side][value.op] for value in road]
        norms = [math.nan if v.gradient is None else v.gradient.norm for v in road]
        style: dict[str, Any] = {"linestyle": "solid" if side == 0 else "dashdot"}
        marker = "." if side == 0 else "x"
        alpha = 1 if side == 0 else 0.65
        ax.plot(x, _positive(norms), marker=marker, color=ink, alpha=alpha, label=name, **style)
        drawn += [norm for norm in norms if 0 < norm < math.inf]
        mark_unscaled(ax, x, norms, ink)
        _draw_sides(ax, each, rows[side], (blue, orange), named=side == 0)
    ax.set_yscale("log")
    if drawn and max(map(abs, map(decade, drawn))) > 200:
        _set_limits(ax, min(drawn), max(drawn))
    ax.set_ylabel("norm of the gradient")
    ax.set_xlabel("forward order")
    name_ticks(
        ax,
        [(g.rows.start + g.rows.stop - 1) / 2 for g in layout.groups],
        [g.path for g in layout.groups],
        len(layout.rows),
    )
    for place, group in enumerate(layout.groups):
        if place % 2:
            ax.axvspan(group.rows.start - 0.5, group.rows.stop - 0.5, color=ink, alpha=0.06, lw=0)
    ax.legend(frameon=False)
    return caption(ax, "Gradient flow")


def _draw_sides(
    ax: Axes, trace: Trace, rows: dict[int | None, int], colours: tuple[str, str], *, named: bool
) -> None:
    """Mark what came back through shortcut and branch where a block begins."""
    looks = (("shortcut", "dashed", "s", colours[0]), ("branch", "solid", "o", colours[1]))
    for side, line, marker, colour in looks:
        found = []
        for fork in trace.forks():
            made = trace.records.values[fork.value].op
            norms = [part.norm for part in fork.parts if part.side == side]
            if made in rows and len(norms) == 1:
                found.append((rows[made], norms[0]))
        found.sort()
        if found:
            x, norms = [place for place, _ in found], [norm for _, norm in found]
            ax.plot(
                x,
                _positive(norms),
                color=colour,
                linestyle=line,
                linewidth=1.2,
                marker=marker,
                markersize=4.5,
                label=f"through the {side}" if named else None,
            )
            mark_unscaled(ax, x, norms, colour)


def _positive(norms: Sequence[float]) -> list[float]:
    """Leave out what a logarithmic scale has no place for."""
    return [norm if 0 < norm < math.inf else math.nan for norm in norms]


def _set_limits(ax: Axes, least: float, most: float) -> None:
    """Let a logarithmic axis hold two norms with some room, where numbers have room beyond them."""
    low, high = decade(least), decade(most)
    room = 0.12 * (high - low) + 0.02
    low, high = (min(307.0, max(-307.0, end)) for end in (low - room, high + room))
    ax.set_ylim(10.0**low, 10.0**high)
    if max(-low, high) > 200:  # matplotlib looks for ticks beyond the ends, where nothing is left
        every = math.ceil((high - low) / 8)
        ax.set_yticks([10.0**power for power in range(math.ceil(low), math.floor(high) + 1, every)])
        ax.minorticks_off()


def plot_heat_map(traces: Trace | Sequence[Trace], ax: Axes | None = None) -> Axes:
    """Draw the norms of the parameters' gradients: layers from the input down, steps to the right.

    Parameters
    ----------
    traces : Trace or sequence of Trace
        Of successive training steps; each backward pass in them is a column.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        With a colour bar beside it. Zero and NaN are written into their cells.
    """
    import numpy as np
    from matplotlib.colors import LogNorm

    listed = [traces] if not isinstance(traces, Sequence) else list(traces)
    columns = [column for trace in listed for column in _parameter_norms(trace)]
    layers = list(dict.fromkeys(name for column in columns for name in column))
    ax = axes_or_new(ax, (7.5, max(3.0, min(12.0, 0.13 * len(layers) + 1.4))))
    if not columns:
        return say_nothing(ax, "backward has not run: there is no gradient to see")
    norms = np.array([[column.get(name, np.nan) for column in columns] for name in layers])
    shown = np.ma.masked_where(~np.isfinite(norms) | (norms <= 0), norms)
    low, high = (float(shown.min()), float(shown.max())) if shown.count() else (0.1, 1.0)
    scale = LogNorm(low, high) if low < high else LogNorm(low / 2, high * 2)
    mesh = ax.pcolormesh(
        np.arange(len(columns) + 1) + 0.5, np.arange(len(layers) + 1) - 0.5, shown, norm=scale
    )
    for row, name in enumerate(layers):
        for place, column in enumerate(columns):
            norm = column.get(name)
            if norm is not None and not 0 < norm < math.inf:
                ax.text(place + 1, row, number(norm), ha="center", va="center", fontsize=7)
    ax.invert_yaxis()
    name_ticks(ax, list(range(len(layers))), layers, len(layers), axis="y")
    if len(columns) < 12:
        ax.set_xticks(range(1, len(columns) + 1))
    ax.set_xlabel("training step")
    ax.figure.colorbar(mesh, ax=ax, label="norm of the gradient")
    return caption(ax, "Gradients of the weights")


def _parameter_norms(trace: Trace) -> list[dict[str, float]]:
    """Find, for each backward pass, the gradient norms of weights in the order of their use."""
    records = trace.records
    first_use = {value: uses[0] for value, uses in trace.structure.uses.items()}
    found: dict[int, dict[int, float]] = {}
    for turn in records.backward:
        value = records.values[turn.value]
        if value.kind == "parameter" and len(value.shape) > 1 and turn.stats is not None:
            found.setdefault(turn.run, {})[turn.value] = turn.stats.norm
    return [
        {records.values[v].name: run[v] for v in sorted(run, key=lambda v: first_use[v])}
        for run in found.values()
    ]


def plot_path_spectrum(spectrum: PathSpectrum | Spectrum | Trace, ax: Axes | None = None) -> Axes:
    """Draw a gradient split by the number of residual branches that it crossed.

    A frame is as high as the part's norm, over that of the whole gradient; what it is filled with
    is the part's signed share. The rest of the frame points across the gradient, and cancels.
    Both hang below the line where a part points against the gradient.

    Parameters
    ----------
    spectrum : PathSpectrum, Spectrum or Trace
        Of a trace, the spectrum that was computed last, else that of the first block's input.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ReplayError
        If the trace holds no spectrum, and has no tape to compute one.
    """
    from matplotlib.ticker import MaxNLocator

    if not isinstance(spectrum, PathSpectrum | Spectrum):
        kept = spectrum.records.spectra
        spectrum = kept[-1] if kept else spectrum.path_spectrum()
    ax = axes_or_new(ax, (7.5, 3.8))
    ink = ink_of(ax)
    _, orange = colours_of(ax)
    shares = [share for share in spectrum.shares if share is not None]
    if len(shares) < len(spectrum.shares):
        return say_nothing(ax, f"the gradient at {spectrum.at} is zero or not finite")
    whole = _norm_of_total(spectrum)
    crossed = range(len(shares))
    sizes = [norm / whole for norm in spectrum.norms]
    signed = [math.copysign(size, share) for size, share in zip(sizes, shares, strict=True)]
    ax.bar(crossed, signed, color="none", edgecolor=ink, linewidth=1, label="norm")
    ax.bar(crossed, shares, color=orange, label="signed share (sums to 1)", width=0.6)
    ax.axhline(0, color=ink, linewidth=0.8)
    # The paths through nearly all branches are many, and carry nothing that could be seen.
    seen = [k for k, size in enumerate(sizes) if size > 1e-3]
    ax.set_xlim(-0.7, max(seen, default=0) + 0.7)
    ax.set_xlabel(f"residual branches crossed, of {len(shares) - 1}")
    ax.set_ylabel("of the whole gradient")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(frameon=False)
    return caption(ax, f"Path spectrum at {spectrum.at}")


def _norm_of_total(spectrum: PathSpectrum | Spectrum) -> float:
    from ..statistics import norm_of

    return spectrum.total if isinstance(spectrum, Spectrum) else norm_of(spectrum.total)


def plot_waterfall(trace: Trace, ax: Axes | None = None) -> Axes:
    """Draw what each block does to the gradient's size, from the loss to the stem.

    Each bar reaches from the norm behind the block to the norm before it. On this logarithmic
    scale the bars' lengths add up to that of the whole way.

    Parameters
    ----------
    trace : Trace
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    gains = trace.gains()
    ax = axes_or_new(ax, (max(6.0, min(16.0, 0.42 * len(gains) + 1.5)), 4.2))
    if not gains:
        return say_nothing(ax, "backward has not run: there is no gradient to see")
    ink = ink_of(ax)
    for place, gain in enumerate(gains):
        if not math.isfinite(gain.log_gain):
            continue
        grows = gain.log_gain >= 0
        low, high = sorted((gain.before, gain.after))
        ax.bar(place, high - low, bottom=low, width=0.8, **(GROWS if grows else SHRINKS))
        ax.plot([place - 0.4, place + 1.4], [gain.after] * 2, color=ink, linewidth=0.7)
        if len(gains) <= 30:
            ax.annotate(
                f"×{number(gain.after / gain.before)}",
                (place, high),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=7,
            )
    ax.set_yscale("log")
    ends = _positive([norm for gain in gains for norm in (gain.before, gain.after)])
    known = [norm for norm in ends if not math.isnan(norm)] or [1.0]
    _set_limits(ax, min(known), max(known))
    mark_unscaled(ax, list(range(len(gains))), [gain.after for gain in gains], ink)
    name_ticks(ax, list(range(len(gains))), [gain.block for gain in gains], len(gains))
    ax.set_ylabel("norm of the gradient")
    ax.set_xlabel("from the loss to the stem")
    for name, look in (("grows", GROWS), ("shrinks", SHRINKS)):
        ax.bar(0, 0, bottom=known[0], label=name, **look)
    ax.legend(frameon=False)
    return caption(ax, f"Gain of each block, {title_of(trace)}")
