"""The pictures of the page about performance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from minires.lab.drawing import dress, legend
from minires.lab.theme import LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours of Okabe and Ito; markers and hatches, because colour is never the only cue.
LOOKS: dict[str, dict[str, Any]] = {
    "minires": {"color": "#0072B2", "marker": "o", "hatch": ""},
    "torch NCHW": {"color": "#D55E00", "marker": "s", "hatch": "////"},
    "torch channels_last": {"color": "#E69F00", "marker": "^", "hatch": "...."},
    "floor": {"color": "#6b7480", "marker": "_", "hatch": "xxxx"},
}
_PARTS = {
    "convolution": "#0072B2",
    "convolution backward": "#56B4E9",
    "batch norm": "#D55E00",
    "batch norm backward": "#E69F00",
    "gradients summed": "#009E73",
    "other": "#9aa3ad",
    "products": "#3b434c",
    "traffic": "#b9c1c9",
}

_DARK = ("convolution", "batch norm", "products")


def figure(width: float, height: float) -> Figure:
    """Make an empty figure, in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained", facecolor=LIGHT.ground)
    FigureCanvasAgg(made)
    return made


def draw_scaling(panels: Sequence[tuple[str, str, bool, Mapping[Any, Any]]]) -> Figure:
    """Draw times against what was varied, one panel for each quantity.

    Parameters
    ----------
    panels : sequence of (title, axis label, per image, cases)
        Cases by their value of the quantity; the time is that of a step, or of an image in it.
    """
    made = figure(9.6, 3.3 * ((len(panels) + 1) // 2))
    axes = made.subplots((len(panels) + 1) // 2, 2, squeeze=False).ravel()
    for ax, (title, label, per_image, cases) in zip(axes, panels, strict=False):
        values = list(cases)
        for name, look in LOOKS.items():
            times = [
                case["jobs"][name]["minimum"] / (case["batch"] if per_image else 1)
                for case in cases.values()
            ]
            ax.plot(
                range(len(values)),
                times,
                color=look["color"],
                marker=look["marker"],
                linestyle="dashed" if name == "floor" else "solid",
                linewidth=1.6,
                label=name,
            )
        ax.set_xticks(range(len(values)), [str(value) for value in values])
        ax.set_xlabel(label)
        ax.set_ylabel("ms per image" if per_image else "ms per step")
        shown = [time for line in ax.lines for time in line.get_ydata()]
        if max(shown) > 15 * min(shown):
            ax.set_yscale("log")
            ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            ax.set_ylabel(f"{ax.get_ylabel()} (log scale)")
        else:
            ax.set_ylim(0)
        ax.grid(axis="y", color=LIGHT.faint, linewidth=0.7)
        dress(ax, LIGHT, title)
    for ax in axes[len(panels) :]:
        ax.remove()
    legend(axes[0], LIGHT)
    return made


def draw_parts(parts: Mapping[str, float], floor: Mapping[str, float]) -> Figure:
    """Draw the parts of a step as one bar, and those of its floor as another."""
    made = figure(9.6, 2.9)
    ax = made.subplots()
    for place, shown in ((1, parts), (0, floor)):
        left = 0.0
        for name, milliseconds in shown.items():
            ax.barh(place, milliseconds, left=left, color=_PARTS[name], height=0.62, label=name)
            if milliseconds > 0.05 * sum(parts.values()):
                ax.text(
                    left + milliseconds / 2,
                    place,
                    f"{milliseconds:.0f}",
                    ha="center",
                    va="center",
                    color=LIGHT.ground if name in _DARK else LIGHT.ink,
                    fontsize=9,
                )
            left += milliseconds
    ax.set_yticks([1, 0], ["step", "floor"])
    ax.set_xlabel("ms")
    dress(ax, LIGHT)
    made.legend(loc="outside lower center", ncols=5, fontsize=9, frameon=False)
    return made


def draw_memory(memory: Mapping[str, Any]) -> Figure:
    """Draw each engine's peak as bars, a group for each network."""
    made = figure(6.4, 3.0)
    ax: Axes = made.subplots()
    engines = [name for name in LOOKS if name != "floor"]
    for number, name in enumerate(engines):
        peaks = [entry["jobs"][name]["minimum"] for entry in memory.values()]
        places = [group + 0.26 * (number - 1) for group in range(len(peaks))]
        look = LOOKS[name]
        bars = ax.bar(
            places,
            peaks,
            width=0.24,
            color=look["color"],
            hatch=look["hatch"],
            edgecolor=LIGHT.ground,
            label=name,
        )
        ax.bar_label(bars, fmt="{:.0f}", fontsize=9, color=LIGHT.ink, padding=2)
    ax.set_xticks(range(len(memory)), list(memory))
    ax.set_ylabel("peak memory, MB")
    ax.margins(y=0.15)
    dress(ax, LIGHT)
    legend(ax, LIGHT)
    return made
