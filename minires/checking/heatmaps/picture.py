"""A picture of a gradient, the one by differences, and their difference, entry by entry."""

from __future__ import annotations

import io
import os
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from minires.serialize import atomic_write

from .mosaic import FRAME, GROUND, INK, Mosaic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray[Any, Any]

_UNKNOWN, _NOT_FINITE = "#b8bec5", "#1f2328"
_COLOURS = "RdBu_r"
# More outlines than these would hide what they point at.
_OUTLINED = 40


def as_png(
    path: str | os.PathLike[str],
    analytic: Array,
    numeric: Array,
    wrong: Array,
    title: str,
    index: tuple[int, ...] | None = None,
) -> None:
    """Draw both gradients and their difference, and write the picture to a file.

    Blue is negative, red positive, white zero. Both gradients have the same scale, the difference
    its own. A matrix is drawn as it is, a vector as a strip, and more axes as a mosaic of tiles of
    the last two.

    Parameters
    ----------
    path : str or path
        A PNG file. It is written beside and renamed: on failure, nothing changes.
    analytic : array, shape S
    numeric : array, shape S
        NaN where it was not compared.
    wrong : array of bool, shape S
        If they are few, these entries get an outline.
    title : str
    index : tuple of int, optional
        The worst entry: it gets a frame in the picture of the difference.

    Raises
    ------
    ValueError
        If the shapes differ, or there is nothing to draw.
    """
    if not analytic.shape == numeric.shape == wrong.shape or not analytic.size:
        raise ValueError(
            "as_png: analytic, numeric and wrong must have one shape with at least one entry, found"
            f" {analytic.shape}, {numeric.shape} and {wrong.shape}"
        )
    figure = _draw(analytic, numeric, wrong, title, index)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, facecolor=GROUND, metadata={"Software": None})
    with atomic_write(path) as file:
        file.write(buffer.getvalue())


def _draw(
    analytic: Array, numeric: Array, wrong: Array, title: str, index: tuple[int, ...] | None
) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    mosaic = Mosaic.of(analytic.shape)
    stacked = mosaic.stacked
    long = 8.5 if stacked else 3.3 if mosaic.width > 1 else 1.7
    high = 0.45 if mosaic.strip else min(max(long * mosaic.height / mosaic.width, 0.45), 6.5)
    rows, columns = (3, 1) if stacked else (1, 3)
    size = (9.6, 1.2 + 3 * (high + 1.1)) if stacked else (3 * (long + 0.5), high + 1.9)

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.1)
    figure = Figure(figsize=size, layout=layout, facecolor=GROUND)
    FigureCanvasAgg(figure)
    lines = textwrap.wrap(title, int(size[0] * 8.5))
    figure.suptitle("\n".join(lines), color=INK, fontsize=12, fontweight="bold")
    with np.errstate(invalid="ignore"):
        difference = analytic - numeric
    known = np.isfinite(numeric)
    shared = max(_largest(analytic), _largest(numeric))
    panels = [
        ("analytic", analytic, ~np.isfinite(analytic) * 2, shared),
        ("numeric", numeric, ~known * 1, shared),
        (
            "analytic - numeric",
            difference,
            np.where(known, ~np.isfinite(difference) * 2, 1),
            _largest(difference),
        ),
    ]
    wrong_places = np.argwhere(wrong)
    # Around small cells an outline hides the colour.
    small = high / mosaic.height < 0.08 or long / mosaic.width < 0.08
    few = not small and len(wrong_places) <= min(_OUTLINED, 0.6 * known.sum())
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, (name, values, marks, largest) in zip(grid, panels, strict=True):
        _panel(figure, ax, mosaic, name, values, marks, largest)
        for place in wrong_places if few else ():
            _outline(ax, *mosaic.corner(tuple(place)))
    if index:
        _frame(grid[-1], *mosaic.corner(index), small)
    notes = [
        mosaic.note,
        "grey: not compared" if not known.all() else "",
        "black: not finite" if not np.isfinite(analytic).all() else "",
        "outlined: wrong" if few and len(wrong_places) else "",
        "framed: the worst entry" if index else "",
    ]
    figure.supxlabel("   ".join(filter(None, notes)), color=INK, fontsize=9)
    return figure


def _largest(values: Array) -> float:
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))


def _panel(
    figure: Figure, ax: Axes, mosaic: Mosaic, name: str, values: Array, marks: Array, largest: float
) -> None:
    """Draw one array; `marks` is 1 where a value is not known, 2 where it is not finite."""
    from matplotlib.colors import ListedColormap, Normalize

    end = largest or 1.0
    scale = Normalize(-end, end)
    shown = mosaic.laid_out(np.where(marks > 0, np.nan, values))
    mesh = ax.pcolormesh(
        *mosaic.edges, np.ma.masked_invalid(shown), norm=scale, cmap=_COLOURS, rasterized=True
    )
    special = mosaic.laid_out(np.where(marks > 0, marks, np.nan).astype(float))
    if np.isfinite(special).any():
        ax.pcolormesh(
            *mosaic.edges,
            np.ma.masked_invalid(special),
            norm=Normalize(1, 2),
            cmap=ListedColormap([_UNKNOWN, _NOT_FINITE]),
            rasterized=True,
        )
    mosaic.dress(ax)
    ax.set_title(name, color=INK, fontsize=10.5, loc="left", fontweight="bold")
    wide = 60 if mosaic.stacked else 30
    bar = figure.colorbar(mesh, ax=ax, location="bottom", shrink=0.9, aspect=wide, pad=0.03)
    bar.set_ticks([-end, 0, end], labels=[f"−{end:.3g}", "0", f"+{end:.3g}"])
    bar.ax.tick_params(colors=INK, labelsize=8.5)
    bar.outline.set(edgecolor=FRAME, linewidth=0.6)


def _outline(ax: Axes, left: float, top: float) -> None:
    from matplotlib.patches import Rectangle

    ax.add_patch(Rectangle((left, top), 1, 1, fill=False, edgecolor=INK, linewidth=1.3))


def _frame(ax: Axes, left: float, top: float, small: bool) -> None:
    """Point at an entry: a frame as large as a cell that is `small` could not be seen."""
    if small:
        ax.plot(left + 0.5, top + 0.5, "s", ms=9, mfc="none", mec=INK, mew=1.2, clip_on=False)
        return
    from matplotlib.patches import Rectangle

    for colour, width in ((GROUND, 4.5), (INK, 2.5)):
        ax.add_patch(
            Rectangle(
                (left, top), 1, 1, fill=False, edgecolor=colour, linewidth=width, clip_on=False
            )
        )
