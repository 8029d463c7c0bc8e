"""Depthwise separable convolutions: accuracy against parameters and multiplications."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from minires import devices, nn
from minires.devices import random
from minires.lab.experiment import Claim, Experiment, Scale, ScaleName, Trials
from minires.lab.figures import name_curves, panels
from minires.lab.images import Images
from minires.lab.learning import PUBLISHED, Recipe, learn
from minires.lab.networks import gained
from minires.lab.rules import Above, Below, Every, Given, Measured, Within
from minires.lab.seeds import paired
from minires.models import CifarResNet
from minires.models.counting import count, without_values
from minires.nn.blocks import conv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minires.lab.theme import Theme

HOWARD = "Howard et al. 2017, arXiv 1704.04861"
LAYER = "MACs of a 3x3 convolution over those of a separable one, 512 channels"
SAVED = "MACs of the widest ordinary network over those of the separable one"
LOST = "test error of the widest separable network less that of the ordinary one"
WORTH = "test error of the narrowest ordinary network less that of the separable one of its MACs"
ALIKE = "MACs of that separable network over those of the ordinary one"
WIDE_KNOWS = "what the widest ordinary network has learned: error of guessing less its test error"
SMALL_KNOWS = "the same, the narrowest"


class _Separable(nn.ResidualBlock):
    """A basic block whose two convolutions are separable ones."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1, **options: Any) -> None:
        convolutions = [
            conv(in_channels, in_channels, 3, stride, in_channels),
            conv(in_channels, channels, 1),
            conv(channels, channels, 3, 1, channels),
            conv(channels, channels, 1),
        ]
        super().__init__(convolutions, **options)


_BLOCKS: dict[str, Any] = {"ordinary": nn.BasicBlock, "separable": _Separable}


@dataclass(frozen=True, kw_only=True)
class _Scale(Scale):
    images: Images
    blocks: int
    widths: tuple[int, ...]
    separable: tuple[int, ...]  # widths; one takes as many MACs as the narrowest ordinary network
    recipe: Recipe


class _DepthwiseSeparable(Experiment):
    """Residual networks of two kinds of convolutions, at several widths."""

    name = "depthwise-separable"
    title = "Separable convolutions need far fewer multiplications for what they know"
    about = (
        "Residual networks of the same number of blocks are trained at several widths: with"
        " ordinary blocks of two 3x3 convolutions, and with each of the two replaced by a separable"
        " one, a 3x3 convolution of each channel and a 1x1 convolution of each pixel."
    )
    caption = (
        "Test accuracy against multiplications, left, and against parameters, right, a point for"
        " each width and seed: in the form of figures 4 and 5 of Howard et al. 2017."
    )
    claims = (
        Claim(
            "A 3x3 separable convolution takes 8 to 9 times fewer operations.",
            f"{HOWARD}, section 3.1",
            "8 to 9 times; 1/N + 1/9 of them",
            Within(LAYER, 8, 9),
        ),
        Claim(
            "At the same width much is saved, and little accuracy is lost.",
            f"{HOWARD}, section 4.1 and table 4",
            "ImageNet: 71.7 % ordinary, 70.6 % separable, at 4,866 and 569 million operations"
            " (unverified)",
            Given(
                Above(WIDE_KNOWS, 0.1),
                Every(Above(SAVED, 4, otherwise=1), Below(LOST, 0.05, otherwise=0.15)),
            ),
            shows_at="paper",
        ),
        Claim(
            "For the same number of operations a separable network knows more.",
            f"{HOWARD}, section 4.2 and table 8",
            "ImageNet: 70.6 % at 569 million operations; GoogLeNet 69.8 % at 1,550 (unverified)",
            Given(Every(Above(SMALL_KNOWS, 0.1), Within(ALIKE, 0.9, 1.1)), Above(WORTH)),
            shows_at="paper",
        ),
    )
    scales: ClassVar[dict[ScaleName, _Scale]] = {
        "tiny": _Scale(
            seconds=6,
            images=Images("digits", train=200, test=100),
            blocks=1,
            widths=(4, 8),
            separable=(8, 9),
            recipe=Recipe(1),
        ),
        "small": _Scale(
            seconds=350,
            images=Images(train=3200, test=800, side=16),
            blocks=3,
            widths=(4, 8, 16),
            separable=(4, 9, 16),
            recipe=Recipe(8),
        ),
        "paper": _Scale(
            seconds=3e6,
            images=Images("cifar10"),
            blocks=3,
            widths=(8, 16, 32, 64),
            separable=(8, 21, 32, 64),
            recipe=PUBLISHED,
        ),
    }

    def conditions(self, scale: _Scale) -> Sequence[str]:
        widths = {"ordinary": scale.widths, "separable": scale.separable}
        return [f"{kind}, width {width}" for kind in _BLOCKS for width in widths[kind]]

    def run(self, condition: str, scale: _Scale, seed: int, device: str) -> dict[str, Any]:
        kind, _, width = condition.partition(", width ")
        split = scale.images.read()
        depth = 6 * scale.blocks + 2
        with random.seeded(seed):
            model = CifarResNet(
                depth,
                scale.blocks,
                _BLOCKS[kind],
                width=int(width),
                in_channels=split.channels,
                num_classes=split.classes,
            )
        image = split.channels, *split.train.arrays[0].shape[2:]
        macs = count(without_values(model), image).macs
        record = learn(model, split, scale.recipe, seed=seed, device=device).record()
        return {**record, "macs": macs}

    def measure(self, trials: Trials, scale: _Scale) -> Measured:
        def errors(condition: str) -> list[float]:
            return [trial["final_test_error"] for trial in trials[condition]]

        def macs(condition: str) -> int:
            return int(trials[condition][0]["macs"])

        widest, narrowest = max(scale.widths), min(scale.widths)
        both = [f"{kind}, width {widest}" for kind in _BLOCKS]
        small = f"ordinary, width {narrowest}"
        alike = min(
            (name for name in trials if name.startswith("separable")),
            key=lambda name: abs(math.log(macs(name) / macs(small))),
        )
        return {
            LAYER: _layer(),
            **{f"test error, {name}": errors(name) for name in trials},
            SAVED: macs(both[0]) / macs(both[1]),
            LOST: paired(errors(both[1]), errors(both[0])),
            WORTH: paired(errors(small), errors(alike)),
            ALIKE: macs(alike) / macs(small),
            WIDE_KNOWS: gained(errors(both[0])),
            SMALL_KNOWS: gained(errors(small)),
        }

    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        figure, axes = panels(theme, 2, sharey=True)
        for ax, what in zip(axes, ("macs", "parameters"), strict=True):
            for number, kind in enumerate(_BLOCKS):
                named = [seeds for name, seeds in trials.items() if name.startswith(kind)]
                points = [
                    (trial[what], 100 * (1 - trial["final_test_error"]))
                    for seeds in named
                    for trial in seeds
                ]
                places, heights = zip(*points, strict=True)
                ax.plot(places, heights, "os"[number], color=theme.colour(number), label=kind)
            ax.set_xscale("log")
            ax.set_xlabel({"macs": "MACs of an image", "parameters": "parameters"}[what])
            name_curves(ax, theme)
        axes[0].set_ylabel("test accuracy, %")
        return figure


def _layer() -> float:
    """Return how many times fewer multiplications one layer takes."""
    with devices.default("meta"):
        ordinary: nn.Module = nn.Conv2d(512, 512, 3, padding=1)
        separable: nn.Module = nn.Sequential(
            nn.Conv2d(512, 512, 3, padding=1, groups=512), nn.Conv2d(512, 512, 1)
        )
    image = 512, 14, 14
    return count(ordinary, image).macs / count(separable, image).macs


EXPERIMENT = _DepthwiseSeparable()
