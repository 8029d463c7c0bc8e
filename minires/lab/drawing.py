"""Drawing what a comparison measured, each function into an `Axes` that it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minires.pages import percent

from .run import Run, TwinKind
from .theme import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure, SubFigure

# Colour is never the only cue.
_LINES: dict[TwinKind, Any] = {"plain": "solid", "residual": (0, (4, 1.2))}
_MARKERS: dict[TwinKind, str] = {"plain": "o", "residual": "s"}
_COLOURS = "viridis"
_HATCHES: dict[TwinKind, str] = {"plain": "", "residual": "////"}


def dress(ax: Axes, theme: Theme, title: str = "", title_colour: str = "") -> None:
    """Give axes the theme's colours, a title, and only the spines that carry a scale."""
    ax.set_facecolor(theme.ground)
    ax.tick_params(colors=theme.ink, which="both", labelsize=9)
    for side, spine in ax.spines.items():
        spine.set_color(theme.ink)
        spine.set_visible(side in ("left", "bottom"))
    ax.xaxis.label.set(color=theme.ink, fontsize=9.5)
    ax.yaxis.label.set(color=theme.ink, fontsize=9.5)
    if title:
        colour = title_colour or theme.ink
        ax.set_title(title, color=colour, fontsize=10.5, loc="left", fontweight="bold")


def draw_final_errors(ax: Axes, runs: Sequence[Run], theme: Theme) -> None:
    """Draw the final training error of every network as bars, by depth."""
    depths = sorted({run.depth for run in runs})
    top = max([100 * (run.final_train_error or 0) for run in runs], default=0)
    for run in runs:
        place = depths.index(run.depth) + (-0.2 if run.twin == "plain" else 0.2)
        error = run.final_train_error
        ax.bar(
            place,
            0 if error is None else 100 * error,
            width=0.36,
            color=theme.of(run.twin),
            hatch=_HATCHES[run.twin],
            edgecolor=theme.ground,
            label=run.twin if run.depth == depths[0] else None,
        )
        ax.annotate(
            percent(error),
            (place, 0 if error is None else 100 * error),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            color=theme.ink,
            fontsize=9,
        )
    ax.set_xticks(range(len(depths)), [f"{depth} layers" for depth in depths])
    ax.set_xlim(-0.6, len(depths) - 0.4)
    ax.set_ylim(0, max(1.15 * top, 5.0))
    ax.set_ylabel("training error, %")
    dress(ax, theme)
    legend(ax, theme)


def draw_errors(
    ax: Axes, runs: Sequence[Run], theme: Theme, milestones: Sequence[int] = ()
) -> None:
    """Draw the training error after every epoch, one line per twin."""
    for run in runs:
        epochs = range(1, len(run.train_error) + 1)
        _line(ax, run, epochs, [100 * error for error in run.train_error], theme)
    ax.set_ylim(-2, 102)
    ax.set_ylabel("training error, %")
    _dress_epochs(ax, runs, theme, milestones)


def draw_losses(
    ax: Axes, runs: Sequence[Run], theme: Theme, milestones: Sequence[int] = ()
) -> None:
    """Draw the loss of every step, thin, and its mean over each epoch, thick; log scale."""
    for run in runs:
        loss = np.where(np.asarray(run.loss) > 0, run.loss, np.nan)
        steps = np.arange(1, len(loss) + 1) / run.steps_per_epoch
        ax.plot(steps, loss, color=theme.of(run.twin), linewidth=0.6, alpha=0.5)
        means = epoch_means(run)
        _line(ax, run, np.arange(len(means)) + 0.5, means, theme)
    ax.set_yscale("log")
    ax.set_ylabel("loss (log scale)")
    _dress_epochs(ax, runs, theme, milestones)


def epoch_means(run: Run) -> list[float]:
    """Return the mean loss of every whole epoch."""
    per_epoch = run.steps_per_epoch
    starts = range(0, len(run.loss) - per_epoch + 1, per_epoch)
    return [float(np.mean(run.loss[start : start + per_epoch])) for start in starts]


def _line(ax: Axes, run: Run, x: Any, y: Any, theme: Theme) -> None:
    ax.plot(
        x,
        y,
        color=theme.of(run.twin),
        linestyle=_LINES[run.twin],
        marker=_MARKERS[run.twin],
        markersize=4,
        linewidth=1.8,
        label=run.twin,
    )


def _dress_epochs(ax: Axes, runs: Sequence[Run], theme: Theme, milestones: Sequence[int]) -> None:
    from matplotlib.ticker import MaxNLocator

    end = max([len(run.loss) / run.steps_per_epoch for run in runs], default=1)
    ax.set_xlim(0, 1.02 * max(end, 1))
    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(axis="y", color=theme.faint, linewidth=0.7)
    for milestone in milestones:
        if milestone < end:
            ax.axvline(milestone, color=theme.faint, linewidth=1.2, zorder=0)
    for run in runs:
        if run.diverged:
            _mark_divergence(ax, run, theme)
    ax.set_axisbelow(True)
    dress(ax, theme)
    legend(ax, theme)


def gradient_scale(runs: Sequence[Run]) -> LogNorm:
    """Return one logarithmic colour scale for the gradient norms of all `runs`."""
    from matplotlib.colors import LogNorm

    norms = np.concatenate([np.ravel(run.gradient_norms) for run in runs] or [np.ones(1)])
    norms = norms[np.isfinite(norms) & (norms > 0)]
    if not norms.size:
        return LogNorm(0.1, 1.0)
    low, high = float(norms.min()), float(norms.max())
    return LogNorm(low, high) if low < high else LogNorm(low / 2, high * 2)


def draw_gradients(ax: Axes, run: Run, scale: LogNorm, theme: Theme) -> None:
    """Draw the gradient norms as a heat map: layers from the input down, steps to the right.

    Cells whose norm is zero or not finite stay empty.
    """
    from matplotlib.ticker import NullFormatter

    title = f"{run.name}, gradient norms"
    if not run.gradient_norms:
        dress(ax, theme, title, theme.of(run.twin))
        ax.set(xticks=[], yticks=[])
        ax.text(0.5, 0.5, "diverged at the first step", color=theme.ink, ha="center")
        return
    norms = np.asarray(run.gradient_norms, float).T
    layers, steps = norms.shape
    shown = np.ma.masked_where(~np.isfinite(norms) | (norms <= 0), norms)
    # Each step's cell reaches from itself to the next one: the first steps get the most room.
    edges = np.arange(1, steps + 2), np.arange(layers + 1)
    ax.pcolormesh(*edges, shown, norm=scale, cmap=_COLOURS)
    ax.set_xscale("log")
    ax.set_xlim(1, steps + 1)
    ax.set_ylim(layers, 0)
    ticks = _layer_ticks(run.layers)
    ax.set_yticks([number + 0.5 for number in ticks.values()], list(ticks))
    ax.set_ylabel("layer, input on top")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("step (log scale)")
    dress(ax, theme, title, theme.of(run.twin))


def draw_colorbar(figure: Figure | SubFigure, axes: Any, scale: LogNorm, theme: Theme) -> None:
    """Draw the scale of gradient norms below the axes that share it."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.ticker import LogLocator, NullFormatter

    colours = ScalarMappable(scale, _COLOURS)
    bar = figure.colorbar(colours, ax=axes, location="bottom", aspect=40, fraction=0.05, pad=0.01)
    if (scale.vmax or 1.0) < 30 * (scale.vmin or 1.0):
        bar.ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        bar.ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    bar.ax.xaxis.set_minor_formatter(NullFormatter())
    bar.set_label("gradient norm (log scale)", color=theme.ink, fontsize=9)
    bar.ax.tick_params(colors=theme.ink, which="both", labelsize=8.5)
    bar.outline.set_visible(False)


def legend(ax: Axes, theme: Theme) -> None:
    """Name the twins, where the data leave room."""
    handles, _ = ax.get_legend_handles_labels()
    if handles:
        ax.legend(frameon=False, labelcolor=theme.ink, fontsize=9, handlelength=2.6)


def _layer_ticks(layers: Sequence[str]) -> dict[str, int]:
    """Name the first and the last layer, and where each stage begins if there is room."""
    begins: dict[str, int] = {}
    for number, layer in enumerate(layers):
        begins.setdefault(layer.partition(".")[0], number)
    room = len(layers) / 14
    ends = {0, len(layers) - 1}
    return {
        name: number
        for name, number in begins.items()
        if number in ends or all(abs(number - end) >= room for end in ends)
    }


def _mark_divergence(ax: Axes, run: Run, theme: Theme) -> None:
    at = (run.diverged_at or 1) / run.steps_per_epoch
    ax.axvline(at, color=theme.of(run.twin), linestyle=":", linewidth=1.2)
    ax.annotate(
        f"{run.twin} diverged",
        (at, 0.97 if run.twin == "plain" else 0.87),
        xycoords=("data", "axes fraction"),
        xytext=(3, 0),
        textcoords="offset points",
        color=theme.of(run.twin),
        fontsize=8.5,
        va="top",
    )
