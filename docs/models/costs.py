"""Draw costs.png: what each network costs, by its parameters and its MACs.

Everything is counted. Run it as ``python -m docs.models.costs``.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

import minires as mr

# A network belongs to the first family with which its name begins.
FAMILIES = {
    "alexnet": ("AlexNet", "#8c564b", "P"),
    "vgg": ("VGG", "#d62728", "s"),
    "googlenet": ("GoogLeNet, Inception", "#ff7f0e", "D"),
    "inception": ("GoogLeNet, Inception", "#ff7f0e", "D"),
    "resnet": ("ResNet and plain", "#1f77b4", "o"),
    "plain": ("ResNet and plain", "#1f77b4", "o"),
    "cifar": ("ResNet and plain", "#1f77b4", "o"),
    "se_": ("SE", "#17becf", "v"),
    "resnext": ("ResNeXt", "#9467bd", "^"),
    "w": ("Wide ResNet", "#7f7f7f", "X"),
    "densenet": ("DenseNet", "#2ca02c", "*"),
}
# Those whose names are shown, to the right or to the left of them.
RIGHT = {
    *("alexnet", "vgg16", "resnet18_c", "se_resnet50", "wrn_28_10"),
    *("cifar_resnet20_c", "cifar_resnet110_c", "cifar_resnet1202_a"),
}
LEFT = {
    *("googlenet", "resnet152", "resnext101_64x4d", "wide_resnet101_2"),
    *("densenet121", "densenet161", "densenet_bc_100_12", "densenet_bc_190_40"),
}


def picture() -> Figure:
    """Return the whole picture."""
    figure = Figure((8.4, 5.4), layout="constrained")
    axes = figure.subplots()
    shown = set()
    for name in mr.models.list():
        label, colour, marker = next(f for start, f in FAMILIES.items() if name.startswith(start))
        counts = mr.models.counts_of(name)
        at = counts.params, counts.macs
        small = counts.input[1] == 32
        axes.scatter(
            *at,
            s=70 if marker == "*" else 34,
            c="white" if small else colour,
            edgecolors=colour,
            marker=marker,
            label=None if small or label in shown else label,
            zorder=3,
        )
        shown |= set() if small else {label}
        if name in RIGHT | LEFT:
            aside, side = (8, "left") if name in RIGHT else (-8, "right")
            away = {"xytext": (aside, -3), "textcoords": "offset points", "ha": side}
            axes.annotate(name, at, **away, fontsize=8)
    axes.set(xscale="log", yscale="log", xlabel="parameters", ylabel="MACs, one image")
    axes.set_xlim(right=4e8)
    axes.grid(color="#e6e6e6")
    axes.legend(title="filled: 224 pixels and more\nhollow: 32", loc="lower right", fontsize=9)
    return figure


if __name__ == "__main__":
    mpl.rcParams["font.family"] = "sans-serif"
    picture().savefig(Path(__file__).with_name("costs.png"), dpi=110)
