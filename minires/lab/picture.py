"""Pictures of a comparison: one that holds everything, and the panels of the report."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .comparison import Comparison
from .drawing import (
    draw_colorbar,
    draw_errors,
    draw_final_errors,
    draw_gradients,
    draw_losses,
    gradient_scale,
)
from .run import Run
from .theme import LIGHT, Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure


def overview(comparison: Comparison, theme: Theme = LIGHT) -> Figure:
    """Draw the whole comparison: the verdict, the final errors, and a column for each depth.

    Parameters
    ----------
    comparison : Comparison
        With at least one finished run.
    theme : Theme

    Returns
    -------
    matplotlib.figure.Figure
    """
    groups = by_depth(comparison.runs)
    columns = len(groups)
    width = max(11.5, 4.3 * columns)
    figure = _figure(width, 14, theme)
    head, curves, heat = figure.subfigures(3, 1, height_ratios=[3.4, 4.9, 5.7], squeeze=False)[:, 0]
    chart, text = head.subfigures(1, 2, width_ratios=[1, 1.15])
    draw_final_errors(chart.subplots(), comparison.runs, theme)
    _write_verdict(text, comparison, theme, width=1.15 / 2.15 * width)

    milestones = comparison.settings.milestones
    axes = curves.subplots(2, columns, squeeze=False, sharex="col", sharey="row")
    for column, (depth, runs) in enumerate(groups.items()):
        draw_errors(axes[0, column], runs, theme, milestones)
        draw_losses(axes[1, column], runs, theme, milestones)
        axes[0, column].set_title(
            f"{depth} layers", color=theme.ink, fontsize=12, fontweight="bold", loc="left"
        )
        for ax in axes[:, column]:
            ax.label_outer()
            if column:
                ax.get_legend().remove()

    axes = heat.subplots(2, columns, squeeze=False)
    for column, runs in enumerate(groups.values()):
        _heat_maps(heat, axes[:, column], runs, theme)
    return figure


def errors_panel(comparison: Comparison, theme: Theme) -> Figure:
    """Draw the final training error of every network."""
    depths = len(by_depth(comparison.runs))
    figure = _figure(max(4.4, 1.5 * depths), 3.4, theme)
    draw_final_errors(figure.subplots(), comparison.runs, theme)
    return figure


def curves_panel(runs: Sequence[Run], milestones: Sequence[int], theme: Theme) -> Figure:
    """Draw error and loss of the twins of one depth, one above the other."""
    figure = _figure(4.2, 5.0, theme)
    upper, lower = figure.subplots(2, 1, sharex=True)
    draw_errors(upper, runs, theme, milestones)
    draw_losses(lower, runs, theme, milestones)
    upper.label_outer()
    return figure


def gradients_panel(runs: Sequence[Run], theme: Theme) -> Figure:
    """Draw the gradient norms of the twins of one depth, with one colour scale."""
    figure = _figure(4.2, 5.4, theme)
    axes = figure.subplots(2, 1, squeeze=False)[:, 0]
    _heat_maps(figure, axes, runs, theme)
    return figure


def to_png(figure: Figure, dpi: int = 150) -> bytes:
    """Render a figure with 255 colours, a third of the size; the same figure, the same bytes."""
    from PIL import Image

    canvas, buffer = io.BytesIO(), io.BytesIO()
    figure.savefig(canvas, format="png", dpi=dpi)
    image = Image.open(canvas).convert("RGB")
    palette = image.quantize(255, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    palette.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def by_depth(runs: Sequence[Run]) -> dict[int, list[Run]]:
    """Group the runs by depth."""
    return {
        depth: [run for run in runs if run.depth == depth]
        for depth in sorted({run.depth for run in runs})
    }


def _figure(width: float, height: float, theme: Theme) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    figure = Figure(figsize=(width, height), layout=layout, facecolor=theme.ground)
    FigureCanvasAgg(figure)
    return figure


def _heat_maps(figure: Figure | SubFigure, axes: Any, runs: Sequence[Run], theme: Theme) -> None:
    scale = gradient_scale(runs)
    for ax, run in zip(axes, runs, strict=False):
        draw_gradients(ax, run, scale, theme)
    for ax in axes[len(runs) :]:  # stopped between the twins
        ax.remove()
    if len(runs) > 1:
        axes[0].set_xlabel("")
    draw_colorbar(figure, list(axes[: len(runs)]), scale, theme)


def _write_verdict(part: SubFigure, comparison: Comparison, theme: Theme, width: float) -> None:
    """Write verdict and recipe beside the chart, into a part 3.4 inches high."""
    settings, verdict = comparison.settings, comparison.verdict
    recipe = (
        f"{settings.dataset}, width {settings.width}, batches of {settings.batch_size}, learning"
        f" rate {settings.learning_rate:g}, a tenth of it from each vertical line on, seed"
        f" {settings.seed}. Twins start from the same numbers and see the same batches; shortcuts"
        " have no parameters. Colours mean other numbers at each depth."
    )
    if comparison.missing:
        recipe += " Stopped early: not all networks were trained."
    sentences = [f"\N{BULLET} {sentence}" for sentence in (*verdict.details, recipe)]
    # In DejaVu Sans, a character takes about 0.125 inches at 14 points bold, and 0.076 at 9.5.
    headline = _fill(verdict.headline, int(width / 0.125))
    text = "\n".join(_fill(sentence, int(width / 0.076)) for sentence in sentences)
    below = 0.95 - (0.27 * (headline.count("\n") + 1) + 0.12) / 3.4
    common: dict[str, Any] = {"color": theme.ink, "va": "top"}
    part.text(0.03, 0.95, headline, fontsize=14, fontweight="bold", linespacing=1.3, **common)
    part.text(0.03, below, text, fontsize=9.5, linespacing=1.5, **common)


def _fill(text: str, width: int) -> str:
    return textwrap.fill(
        text, width, subsequent_indent="  " if text.startswith("\N{BULLET}") else ""
    )
