"""What the figures have in common: axes, colours, and marks for what a log scale cannot show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from .words import only

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .lanes import Bow

# Of Okabe and Ito, hatched as well: colour is never the only cue.
GROWS: dict[str, Any] = {"color": "#009E73"}
SHRINKS: dict[str, Any] = {"facecolor": "#CC79A7", "edgecolor": "#6b2f52", "hatch": "////"}


def axes_or_new(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Return the axes, or those of a new figure that pyplot does not know."""
    if ax is not None:
        return ax
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained").subplots()


def ink_of(ax: Axes) -> Any:
    """Return the colour of text and lines that stands out from the ground of these axes."""
    import matplotlib as mpl
    from matplotlib.colors import same_color

    ink = mpl.rcParams["text.color"]
    if same_color(ink, ax.get_facecolor()):
        return "white" if is_dark(ax) else "black"
    return ink


def is_dark(ax: Axes) -> bool:
    """Tell whether the ground of the axes is dark."""
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(ax.get_facecolor())
    return 0.299 * red + 0.587 * green + 0.114 * blue < 0.5


def colours_of(ax: Axes) -> tuple[str, str]:
    """Return the colours of shortcut and branch, lighter on dark ground."""
    return ("#56a8e0", "#f0813d") if is_dark(ax) else ("#0072B2", "#D55E00")


def caption(ax: Axes, text: str) -> Axes:
    """Give axes a title at the left."""
    # Marks for what is not finite stand between the axes and the title.
    ax.set_title(only(text).replace("$", r"\$"), loc="left", pad=14)
    return ax


def say_nothing(ax: Axes, why: str) -> Axes:
    """Write into empty axes why they are empty."""
    ax.text(0.5, 0.5, only(why), ha="center", va="center", transform=ax.transAxes, wrap=True)
    ax.set_axis_off()
    return ax


def name_ticks(
    ax: Axes,
    places: Sequence[float],
    names: Sequence[str],
    rows: int,
    axis: Literal["x", "y"] = "x",
) -> None:
    """Name as many places of an axis as there is room for."""
    # Dollar signs would begin a formula.
    texts = [only(name).replace("$", r"\$") for name in names]
    pixels = ax.bbox.width if axis == "x" else ax.bbox.height
    room = pixels / ax.figure.dpi / 0.16  # names, each a sixth of an inch wide
    kept: list[int] = []
    for number, place in enumerate(places):
        if not kept or (place - places[kept[-1]]) * room >= max(1, rows):
            kept.append(number)
    chosen, labels = [places[k] for k in kept], [texts[k] for k in kept]
    if axis == "x":
        ax.set_xticks(chosen, labels, rotation=90, fontsize=8)
    else:
        ax.set_yticks(chosen, labels, fontsize=8)


def mark_unscaled(ax: Axes, x: Sequence[float], norms: Sequence[float], colour: Any) -> None:
    """Mark zero below a logarithmic axis, and what is not finite above it."""
    marks = (
        ("0", -0.03, "v", [at for at, norm in zip(x, norms, strict=True) if norm == 0]),
        ("NaN", 1.03, "x", [at for at, norm in zip(x, norms, strict=True) if math.isnan(norm)]),
        ("inf", 1.03, "^", [at for at, norm in zip(x, norms, strict=True) if math.isinf(norm)]),
    )
    for text, height, marker, places in marks:
        if not places:
            continue
        ax.plot(
            places,
            [height] * len(places),
            linestyle="none",
            marker=marker,
            markersize=5,
            color=colour,
            transform=ax.get_xaxis_transform(),
            clip_on=False,
        )
        ax.text(-0.012, height, text, ha="right", va="center", transform=ax.transAxes, fontsize=8)
        if height < 0:
            ax.tick_params(axis="x", pad=10)


def draw_arc(ax: Axes, bow: Bow, depth: float, colour: Any) -> None:
    """Draw a use of a value further down as half an ellipse to the left; a shortcut's is dashed."""
    from matplotlib.patches import Arc

    look: dict[str, Any] = (
        {"linestyle": "dashed", "linewidth": 1.8} if bow.shortcut else {"linewidth": 0.7}
    )
    height, middle = bow.end - bow.start, (bow.start + bow.end) / 2
    ax.add_patch(Arc((0, middle), 2 * depth, height, theta1=90, theta2=270, color=colour, **look))
