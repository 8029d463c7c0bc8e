"""Local response normalisation: the literature disagrees on whether it helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from minires import nn
from minires.devices import random
from minires.lab.experiment import Claim, Experiment, Scale, ScaleName, Trials
from minires.lab.figures import train_and_test
from minires.lab.images import Images
from minires.lab.learning import Recipe, learn
from minires.lab.networks import gained
from minires.lab.rules import Above, Below, Given, Measured
from minires.lab.seeds import paired
from minires.models.parts import lrn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minires.lab.theme import Theme

KRIZHEVSKY = "Krizhevsky et al. 2012, Advances in Neural Information Processing Systems 25"
SIMONYAN = "Simonyan and Zisserman 2014, arXiv 1409.1556"
GAIN = "test error without local response norm less that with it"
KNOWS = "what the network without it has learned: error of guessing less its test error"
NO_BETTER = Given(Above(KNOWS, 0.1), Below(GAIN, 0.01))
WITH, WITHOUT = "with local response norm", "without"


@dataclass(frozen=True, kw_only=True)
class _Scale(Scale):
    images: Images
    width: int
    recipe: Recipe


class _LocalResponseNorm(Experiment):
    """A small AlexNet with and without it."""

    name = "local-response-norm"
    title = "Does local response normalisation help?"
    about = (
        "A small AlexNet, three convolutions with overlapping pools and one linear layer, is"
        " trained with local response normalisation behind the first two, and without. Two papers"
        " say the opposite of each other: at most one of the two claims can be supported, whatever"
        " the scale."
    )
    caption = (
        "Training error, left, and test error, right, by epoch, thin for each seed and thick for"
        " their mean."
    )
    claims = (
        Claim(
            "Local response normalisation lowers the test error.",
            f"{KRIZHEVSKY}, section 3.3",
            "-1.4 and -1.2 % (top-1, top-5); a four-layer network on CIFAR-10: 13 % to 11 %",
            Given(Above(KNOWS, 0.1), Above(GAIN, 0.01, otherwise=0.0)),
            shows_at=None,
        ),
        Claim(
            "It does not improve a network.",
            f"{SIMONYAN}, section 2.1 and table 3 (A and A-LRN)",
            "29.6 % without, 29.7 % with it (top-1; unverified)",
            NO_BETTER,
        ),
    )
    scales: ClassVar[dict[ScaleName, _Scale]] = {
        "tiny": _Scale(
            seconds=4,
            images=Images("digits", train=200, test=100),
            width=8,
            recipe=Recipe(2, learning_rate=0.01),
        ),
        "small": _Scale(
            seconds=260,
            images=Images(train=3200, test=800),
            width=16,
            recipe=Recipe(12, learning_rate=0.01),
        ),
        "paper": _Scale(
            seconds=1e5,
            images=Images("cifar10"),
            width=32,
            recipe=Recipe(120, 128, learning_rate=0.01, augment=True, measure_every=4),
        ),
    }

    def conditions(self, scale: _Scale) -> Sequence[str]:
        return [WITHOUT, WITH]

    def run(self, condition: str, scale: _Scale, seed: int, device: str) -> dict[str, Any]:
        split = scale.images.read()
        with random.seeded(seed):
            model = _network(split.channels, split.classes, scale.width, condition == WITH)
        return learn(model, split, scale.recipe, seed=seed, device=device).record()

    def measure(self, trials: Trials, scale: _Scale) -> Measured:
        errors = {
            name: [trial["final_test_error"] for trial in seeds] for name, seeds in trials.items()
        }
        return {
            f"test error, {WITHOUT}": errors[WITHOUT],
            f"test error, {WITH}": errors[WITH],
            KNOWS: gained(errors[WITHOUT]),
            GAIN: paired(errors[WITHOUT], errors[WITH]),
        }

    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        return train_and_test(theme, trials, {name: name for name in trials})


def _network(in_channels: int, classes: int, width: int, normed: bool) -> nn.Module:
    layers: list[nn.Module] = []
    channels = in_channels
    for number, factor in enumerate((1, 1, 2)):
        out = width * factor
        layers += [nn.Conv2d(channels, out, 5, padding=2), nn.ReLU()]
        layers += [lrn()] * (normed and number < 2)
        layers.append(nn.MaxPool2d(3, 2, padding=1))
        channels = out
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
    )


EXPERIMENT = _LocalResponseNorm()
