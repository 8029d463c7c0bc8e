"""What the figures of experiments have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from minires.pages import short

from .drawing import dress
from .picture import blank_figure
from .theme import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colour is never the only cue.
DASHES: tuple[Any, ...] = ("solid", (0, (4, 1.2)), (0, (1, 1)), (0, (5, 1, 1, 1)), (0, (2, 3)))
MARKERS = "osD^vPX*"


def panels(
    theme: Theme,
    count: int = 1,
    *,
    rows: int = 1,
    width: float = 4.6,
    height: float = 3.5,
    **share: Any,
) -> tuple[Figure, list[Axes]]:
    """Return a figure of some axes side by side, in the colours of a theme.

    Parameters
    ----------
    theme : Theme
    count : int
        How many in a row.
    rows : int
    width, height : float
        Of each, in inches.
    **share
        ``sharex``, ``sharey``, as for `matplotlib.figure.Figure.subplots`.

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : list of matplotlib.axes.Axes
        Row by row.
    """
    figure = blank_figure(width * count, height * rows, theme)
    axes = list(figure.subplots(rows, count, squeeze=False, **share).ravel())
    for ax in axes:
        ax.grid(color=theme.faint, linewidth=0.6)
        ax.set_axisbelow(True)
        dress(ax, theme)
    return figure, axes


def spread(
    ax: Axes,
    x: Sequence[float],
    curves: Sequence[Sequence[float]],
    name: str,
    number: int,
    theme: Theme,
    **more: Any,
) -> None:
    """Draw a curve for each seed, thin, and their mean, thick, in the colour of a number.

    A seed whose curve is shorter, because it diverged, is drawn as far as it goes.
    """
    colour, dash = theme.colour(number), DASHES[number % len(DASHES)]
    for curve in curves:
        alone = "o" if len(curve) == 1 else ""  # of which no line can be drawn
        ax.plot(x[: len(curve)], curve, alone + "-", color=colour, linewidth=0.7, alpha=0.5)
    length = min(map(len, curves), default=0)
    means = [sum(curve[i] for curve in curves) / len(curves) for i in range(length)]
    style = {"color": colour, "linestyle": dash, "marker": "o" if length == 1 else ""}
    ax.plot(x[:length], means, linewidth=2, label=name, **{**style, **more})


def train_and_test(
    theme: Theme, trials: Mapping[str, Sequence[Mapping[str, Any]]], names: Mapping[str, str]
) -> Figure:
    """Draw training error, left, and test error, right, by epoch, of some conditions.

    Parameters
    ----------
    theme : Theme
    trials : dict
        What `Learned.record` returns, for each seed.
    names : dict
        How each condition is called.
    """
    figure, axes = panels(theme, 2, sharey=True)
    for ax, part, title in zip(axes, ("train", "test"), ("training", "test"), strict=True):
        for number, (condition, name) in enumerate(names.items()):
            seeds = trials[condition]
            curves = [[100 * error for error in trial[f"{part}_error"]] for trial in seeds]
            spread(ax, epochs_of(seeds), curves, name, number, theme)
        ax.set_title(title, color=theme.ink, fontsize=10)
        label_epochs(ax)
        name_curves(ax, theme)
    axes[0].set_ylabel("error, %")
    return figure


def epochs_of(trials: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return after which epochs networks were measured, of the one that was trained longest.

    Examples
    --------
    >>> epochs_of([{"epochs": []}, {"epochs": [1, 2]}])  # the first diverged
    [1, 2]
    """
    return max((list(trial["epochs"]) for trial in trials), key=len)


def label_epochs(ax: Axes) -> None:
    """Say that the horizontal axis has epochs, of which there are whole ones alone."""
    from matplotlib.ticker import MaxNLocator

    ax.set_xlabel("epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def name_curves(ax: Axes, theme: Theme, **more: Any) -> None:
    """Name the curves, where the data leave room."""
    ax.legend(**{"frameon": False, "labelcolor": theme.ink, "fontsize": 9} | more)


def limit_line(ax: Axes, at: float, name: str, theme: Theme) -> None:
    """Draw a horizontal line at a published or a theoretical number, and name it."""
    ax.axhline(at, color=theme.ink, linewidth=0.9, linestyle=(0, (1, 2)))
    ax.annotate(
        name,
        (1.0, at),
        xycoords=("axes fraction", "data"),
        xytext=(-2, 3),
        textcoords="offset points",
        ha="right",
        color=theme.ink,
        fontsize=8.5,
    )


def bars(
    ax: Axes,
    heights: Mapping[str, float],
    theme: Theme,
    *,
    published: Mapping[str, float] | None = None,
) -> None:
    """Draw a bar for each name, its number above it, and the published one as a line across it."""
    for place, (name, height) in enumerate(heights.items()):
        ax.bar(place, height, width=0.6, color=theme.colour(0))
        ax.annotate(
            short(height),
            (place, height),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            color=theme.ink,
            fontsize=9,
        )
        if published and name in published:
            ends = place - 0.4, place + 0.4
            ax.hlines(published[name], *ends, color=theme.ink, linewidth=1.4, linestyle=(0, (2, 1)))
    ax.set_xticks(range(len(heights)), list(heights))
    ax.set_ylim(0, 1.15 * max([*heights.values(), *(published or {}).values()], default=1.0))
