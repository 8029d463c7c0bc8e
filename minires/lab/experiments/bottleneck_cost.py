"""A bottleneck costs what a basic block does, at four times the channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from minires import devices
from minires.lab.experiment import Claim, Experiment, Scale, ScaleName, Trials
from minires.lab.figures import bars, panels
from minires.lab.rules import Below, Equal, Every, Measured, Within
from minires.models import counts_of
from minires.models.counting import count
from minires.nn import BasicBlock, Bottleneck, Module

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minires.lab.theme import Theme

HE2015 = "He et al. 2015, arXiv 1512.03385"
BOTTLENECK = "weights of the convolutions 256-64-64-256"
NARROW = "weights of two 3x3 convolutions on 64 channels"
WIDE = "weights of two 3x3 convolutions on 256 channels"
SAME = "MACs of a bottleneck on 256 channels over those of a basic block on 64"
NETWORKS = "MACs of ResNet-50 over those of ResNet-34"
_BLOCKS: dict[str, tuple[int, Callable[[], Module]]] = {
    BOTTLENECK: (256, partial(Bottleneck, 256, 64, shortcut="A")),
    NARROW: (64, partial(BasicBlock, 64, 64, shortcut="A")),
    WIDE: (256, partial(BasicBlock, 256, 256, shortcut="A")),
}
_IMAGE = 56  # the stage of ImageNet networks where these blocks stand


class _BottleneckCost(Experiment):
    """Weights and multiplications, counted."""

    name = "bottleneck-cost"
    title = "A bottleneck is narrow in its middle, and so it is cheap"
    about = (
        "The three blocks of figure 5 of the paper, counted on an image of 56x56 pixels, and the"
        " networks that are made of them. Nothing is trained; norms are not counted."
    )
    caption = (
        "Weights of the convolutions, and multiplications, of a basic block at 64 channels, a"
        " bottleneck at 256 and a basic block at 256: figure 5 of He et al. 2015 in numbers."
    )
    claims = (
        Claim(
            "A bottleneck on 256 channels has the time complexity of a basic block on 64.",
            f"{HE2015}, section 4.1 and figure 5",
            "69,632 weights; 73,728; a basic block on 256 channels would have 1,179,648",
            Every(
                Equal(BOTTLENECK, 69_632),
                Equal(NARROW, 73_728),
                Equal(WIDE, 1_179_648),
                Within(SAME, 0.9, 1.1),
            ),
            shows_at="tiny",
        ),
        Claim(
            "So ResNet-50 costs about as much as ResNet-34.",
            f"{HE2015}, table 1",
            "3.6 and 3.8 billion",
            Below(NETWORKS, 1.2, otherwise=2),
            shows_at="tiny",
        ),
    )
    scales: ClassVar[dict[ScaleName, Scale]] = dict.fromkeys(
        ("tiny", "small", "paper"), Scale(seconds=1, seeds=1)
    )

    def conditions(self, scale: Scale) -> Sequence[str]:
        return ["counts"]

    def run(self, condition: str, scale: Scale, seed: int, device: str) -> dict[str, Any]:
        blocks = {}
        for name, (channels, make) in _BLOCKS.items():
            with devices.default("meta"):
                block = make()
            macs = count(block, (channels, _IMAGE, _IMAGE)).macs
            blocks[name] = {"weights": convolution_weights(block), "macs": macs}
        networks = {
            name: {"params": found.params, "macs": found.macs}
            for name in ("resnet34", "resnet50")
            for found in [counts_of(name)]
        }
        return {"blocks": blocks, "networks": networks}

    def measure(self, trials: Trials, scale: Scale) -> Measured:
        found = trials["counts"][0]
        blocks, networks = found["blocks"], found["networks"]
        return {
            **{name: block["weights"] for name, block in blocks.items()},
            SAME: blocks[BOTTLENECK]["macs"] / blocks[NARROW]["macs"],
            NETWORKS: networks["resnet50"]["macs"] / networks["resnet34"]["macs"],
        }

    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        blocks = trials["counts"][0]["blocks"]
        names = {"basic, 64": NARROW, "bottleneck, 256": BOTTLENECK, "basic, 256": WIDE}
        figure, axes = panels(theme, 2)
        for ax, what, unit in zip(
            axes, ("weights", "macs"), ("weights, thousands", "MACs, millions"), strict=True
        ):
            size = 1e3 if what == "weights" else 1e6
            bars(ax, {name: blocks[key][what] / size for name, key in names.items()}, theme)
            ax.set_ylabel(unit)
        return figure


def convolution_weights(module: Module) -> int:
    """Return how many weights the convolutions of a module have."""
    return sum(p.data.size for p in module.parameters() if p.ndim == 4)


EXPERIMENT = _BottleneckCost()
