"""Where norm and activation stand in a block, and how many convolutions a skip spans."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from minires.devices import random
from minires.lab.experiment import Claim, Experiment, ScaleName, Trials
from minires.lab.figures import epochs_of, label_epochs, name_curves, panels, spread
from minires.lab.images import Images
from minires.lab.learning import PUBLISHED_110, Recipe, learn
from minires.lab.networks import NetworkScale, final_errors, network_for
from minires.lab.rules import Above, Every, Measured
from minires.lab.seeds import paired
from minires.models import CifarResNet
from minires.nn import ResidualBlock
from minires.nn.blocks import conv

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minires.lab.theme import Theme

HE2016 = "He et al. 2016, arXiv 1603.05027"
# Table 2: test error of ResNet-110.
ORDERS = {
    "original": 6.61,
    "norm_after_addition": 8.17,
    "act_before_addition": 7.84,
    "act_only_preactivation": 6.71,
    "full_preactivation": 6.37,
}
ONE_LAYER = "original, one convolution a skip"
BN_AFTER = "test error, BN after addition, less that of the original"
RELU_BEFORE = "test error, ReLU before addition, less that of the original"
FULL = "test error, original, less that of full pre-activation"
SHORT_SKIPS = "test error, one convolution a skip, less that of two at equal depth"
SHORT_SKIPS_TRAINING = "training error, one convolution a skip, less that of two at equal depth"


class _ActivationOrders(Experiment):
    """The rows of table 2, and blocks of one convolution."""

    name = "activation-orders"
    title = "A clean path through the addition, and two convolutions a skip"
    about = (
        "One residual network in the five orders of the paper's figure 4, with the same weights at"
        " the start; and one of equal depth whose skips span a single convolution (table 3). By how"
        " much full pre-activation is better, in the paper 0.2 to 0.5 percentage points with up to"
        " 164 layers, is less than short trainings can tell."
    )
    caption = (
        "Left: training error by epoch, thin for each seed, in the form of figure 6 of He et al."
        " 2016. Right: test error here (dots, one for each seed) beside tables 2 and 3 (crosses)."
    )
    claims = (
        Claim(
            "Batch norm after the addition is worse: it stands in the way of the shortcut.",
            f"{HE2016}, table 2",
            "8.17 % against 6.61 % (ResNet-110)",
            Above(BN_AFTER),
        ),
        Claim(
            "ReLU before the addition is worse: branches can only add.",
            f"{HE2016}, table 2",
            "7.84 % against 6.61 % (ResNet-110)",
            Above(RELU_BEFORE),
        ),
        Claim(
            "Full pre-activation is better than the original.",
            f"{HE2016}, table 2",
            "6.37 % against 6.61 % (ResNet-110), 5.46 % against 5.93 % (164), 4.92 % against 7.61 %"
            " (1001)",
            Above(FULL),
            shows_at="paper",
        ),
        Claim(
            "Skips over one convolution are worse than skips over two, at equal depth.",
            f"{HE2016}, table 3",
            "9.90 % against 6.61 % (ResNet-110)",
            Every(Above(SHORT_SKIPS), Above(SHORT_SKIPS_TRAINING)),
        ),
    )
    scales: ClassVar[dict[ScaleName, NetworkScale]] = {
        "tiny": NetworkScale(
            seconds=8,
            images=Images("digits", train=128, test=100),
            depth=14,
            width=4,
            recipe=Recipe(1),
        ),
        "small": NetworkScale(
            seconds=580,
            images=Images(train=3200, test=800, side=16),
            depth=56,
            width=8,
            recipe=Recipe(6, learning_rate=0.05, measure_every=2),
        ),
        "paper": NetworkScale(
            seconds=2e7, images=Images("cifar10"), depth=110, width=16, recipe=PUBLISHED_110
        ),
    }

    def conditions(self, scale: NetworkScale) -> Sequence[str]:
        return [*ORDERS, ONE_LAYER]

    def run(self, condition: str, scale: NetworkScale, seed: int, device: str) -> dict[str, Any]:
        split = scale.images.read()
        if condition == ONE_LAYER:
            with random.seeded(seed):
                # Twice as many blocks of half as many convolutions.
                model = CifarResNet(
                    scale.depth,
                    (scale.depth - 2) // 3,
                    _ONE_CONVOLUTION,
                    width=scale.width,
                    in_channels=split.channels,
                    num_classes=split.classes,
                )
        else:
            model = network_for(split, scale.depth, scale.width, seed, order=condition)
        return learn(model, split, scale.recipe, seed=seed, device=device).record()

    def measure(self, trials: Trials, scale: NetworkScale) -> Measured:
        errors = partial(final_errors, trials)
        return {
            **{f"test error, {name}": errors(name) for name in trials},
            BN_AFTER: paired(errors("norm_after_addition"), errors("original")),
            RELU_BEFORE: paired(errors("act_before_addition"), errors("original")),
            FULL: paired(errors("original"), errors("full_preactivation")),
            SHORT_SKIPS: paired(errors(ONE_LAYER), errors("original")),
            SHORT_SKIPS_TRAINING: paired(errors(ONE_LAYER, "train"), errors("original", "train")),
        }

    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        figure, (curves, table) = panels(theme, 2, height=4.2, width=5.4)
        for number, (name, seeds) in enumerate(trials.items()):
            lines = [[100 * error for error in trial["train_error"]] for trial in seeds]
            spread(curves, epochs_of(seeds), lines, _said(name), number, theme)
        label_epochs(curves)
        curves.set_ylabel("training error, %")
        least, most = curves.get_ylim()
        curves.set_ylim(least, most + 0.4 * (most - least))  # room for the names
        name_curves(curves, theme, fontsize=8, loc="upper right")
        published = {**ORDERS, ONE_LAYER: 9.90}
        for place, name in enumerate(trials):
            found = [100 * error for error in measured[f"test error, {name}"]]
            table.plot(found, [place] * len(found), "o", markersize=4, color=theme.colour(0))
            table.plot([published[name]], [place], "x", color=theme.colour(1))
        table.set_yticks(range(len(published)), [_said(name) for name in trials])
        table.invert_yaxis()
        table.set_xlim(0, None)
        table.set_xlabel("test error, %")
        return figure


class _OneConvolution(ResidualBlock):
    """A block of one 3x3 convolution."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1, **options: Any) -> None:
        super().__init__([conv(in_channels, channels, 3, stride)], **options)


# `CifarResNet` declares blocks of two or three.
_ONE_CONVOLUTION: Any = _OneConvolution


def _said(name: str) -> str:
    """Return a name as table 2 has it."""
    words = {"norm": "BN", "act": "ReLU", "preactivation": "pre-activation"}
    return " ".join(words.get(word, word) for word in name.replace("_", " ").split(" "))


EXPERIMENT = _ActivationOrders()
