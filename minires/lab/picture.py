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
    headline, body = _verdict_text(comparison, 1.15 / 2.15 * width)
    heights = [max(3.4, _text_height(headline, body)), 4.9, 5.7]
    figure = blank_figure(width, sum(heights), theme)
    head, curves, heat = figure.subfigures(3, 1, height_ratios=heights, squeeze=False)[:, 0]
    chart, text = head.subfigures(1, 2, width_ratios=[1, 1.15])
    draw_final_errors(chart.subplots(), comparison.runs, theme)
    _write_verdict(text, headline, body, theme, heights[0])

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
    figure = blank_figure(max(4.4, 1.5 * depths), 3.4, theme)
    draw_final_errors(figure.subplots(), comparison.runs, theme)
    return figure


def curves_panel(runs: Sequence[Run], milestones: Sequence[int], theme: Theme) -> Figure:
    """Draw error and loss of the twins of one depth, one above the other."""
    figure = blank_figure(4.2, 5.0, theme)
    upper, lower = figure.subplots(2, 1, sharex=True)
    draw_errors(upper, runs, theme, milestones)
    draw_losses(lower, runs, theme, milestones)
    upper.label_outer()
    return figure


def gradients_panel(runs: Sequence[Run], theme: Theme) -> Figure:
    """Draw the gradient norms of the twins of one depth, with one colour scale."""
    figure = blank_figure(4.2, 5.4, theme)
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


def blank_figure(width: float, height: float, theme: Theme) -> Figure:
    """Return a figure of some inches that can be saved without a window."""
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


# Sizes of text in inches: margin above it, a line of the headline, the gap below, a line of body.
_MARGIN, _HEADLINE, _GAP, _LINE = 0.17, 0.27, 0.12, 0.2


def _verdict_text(comparison: Comparison, width: float) -> tuple[str, str]:
    """Break verdict and recipe into lines for a part so many inches wide: headline and body."""
    settings, verdict = comparison.settings, comparison.verdict
    recipe = (
        f"{comparison.dataset}, width {settings.width}, batches of {settings.batch_size}, learning"
        f" rate {settings.learning_rate:g}, a tenth of it from each vertical line on, seed"
        f" {settings.seed}. Twins start from the same numbers and see the same batches; shortcuts"
        " have no parameters. Colours mean other numbers at each depth."
    )
    if comparison.missing:
        recipe += " Stopped early: not all networks were trained."
    sentences = [f"\N{BULLET} {sentence}" for sentence in (*verdict.details, recipe)]
    # In DejaVu Sans, a character takes about 0.125 inches at 14 points bold, and 0.076 at 9.5.
    headline = _fill(verdict.headline, int(width / 0.125))
    return headline, "\n".join(_fill(sentence, int(width / 0.076)) for sentence in sentences)


def _headline_height(headline: str) -> float:
    return _MARGIN + _HEADLINE * (headline.count("\n") + 1) + _GAP


def _text_height(headline: str, body: str) -> float:
    return _headline_height(headline) + _LINE * (body.count("\n") + 1) + _MARGIN


def _write_verdict(part: SubFigure, headline: str, body: str, theme: Theme, height: float) -> None:
    """Write the text beside the chart, into a part so many inches high."""
    common: dict[str, Any] = {"color": theme.ink, "va": "top"}
    top, below = 1 - _MARGIN / height, 1 - _headline_height(headline) / height
    part.text(0.03, top, headline, fontsize=14, fontweight="bold", linespacing=1.3, **common)
    part.text(0.03, below, body, fontsize=9.5, linespacing=1.5, **common)


def _fill(text: str, width: int) -> str:
    return textwrap.fill(
        text, width, subsequent_indent="  " if text.startswith("\N{BULLET}") else ""
    )
