"""Width against depth: a wide shallow residual network and a thin deep one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from minires.lab.experiment import Claim, Experiment, Scale, ScaleName, Trials
from minires.lab.figures import train_and_test
from minires.lab.images import Images
from minires.lab.learning import PUBLISHED, Recipe, learn
from minires.lab.networks import network_for
from minires.lab.rules import Above, Every, Measured, Within
from minires.lab.seeds import paired
from minires.models.counting import count, without_values

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minires.lab.theme import Theme

ZAGORUYKO = "Zagoruyko and Komodakis 2016, arXiv 1605.07146"
PARAMETERS = "parameters of the wide network over those of the deep one"
MACS = "MACs of the wide network over those of the deep one"
GAIN = "test error of the deep network less that of the wide one"
SPEED = "images per second in training, wide network over deep one"


@dataclass(frozen=True, kw_only=True)
class _Scale(Scale):
    images: Images
    wide: tuple[int, int]  # depth, width
    deep: tuple[int, int]
    recipe: Recipe


class _WidthAndDepth(Experiment):
    """Two networks of one size, one wide and one deep."""

    name = "width-and-depth"
    title = "At equal size, a wide shallow network trains faster than a thin deep one"
    about = (
        "Two residual networks with about the same numbers of parameters and of multiplications:"
        " one has few layers with many channels, the other many layers with few. Width is the"
        " number of channels of a layer, depth the number of layers on the longest way."
    )
    caption = (
        "Training error, left, and test error, right, by epoch, thin for each seed: in the form of"
        " figure 2 of Zagoruyko and Komodakis 2016."
    )
    claims = (
        Claim(
            "A wide shallow network is no worse than a thin deep one of the same size.",
            f"{ZAGORUYKO}, section 3 and tables 4 and 5",
            "WRN-28-10 4.00 %; pre-activation ResNet-164 5.46 %",
            Every(
                Within(PARAMETERS, 0.8, 1.25), Within(MACS, 0.8, 1.25), Above(GAIN, -0.01, -0.03)
            ),
        ),
        Claim(
            "It trains faster, for its layers do more at a time.",
            f"{ZAGORUYKO}, section 3, computational efficiency",
            "WRN-40-4 trains 8 times as fast as ResNet-1001 (unverified)",
            Above(SPEED, 1.1, otherwise=1.0),
        ),
    )
    scales: ClassVar[dict[ScaleName, _Scale]] = {
        "tiny": _Scale(
            seconds=4,
            images=Images("digits", train=200, test=100),
            wide=(8, 6),
            deep=(20, 3),
            recipe=Recipe(1),
        ),
        "small": _Scale(
            seconds=230,
            images=Images(train=3200, test=800, side=16),
            wide=(14, 18),
            deep=(56, 8),
            recipe=Recipe(8, learning_rate=0.05),
        ),
        "paper": _Scale(
            seconds=2e7,
            images=Images("cifar10"),
            wide=(20, 46),
            deep=(164, 16),
            recipe=PUBLISHED,
        ),
    }

    def conditions(self, scale: _Scale) -> Sequence[str]:
        return ["wide", "deep"]

    def run(self, condition: str, scale: _Scale, seed: int, device: str) -> dict[str, Any]:
        split = scale.images.read()
        depth, width = scale.wide if condition == "wide" else scale.deep
        model = network_for(split, depth, width, seed)
        image = split.channels, *split.train.arrays[0].shape[2:]
        macs = count(without_values(model), image).macs
        record = learn(model, split, scale.recipe, seed=seed, device=device).record()
        return {**record, "macs": macs, "depth": depth, "width": width}

    def measure(self, trials: Trials, scale: _Scale) -> Measured:
        wide, deep = trials["wide"], trials["deep"]

        def of(key: str, seeds: Sequence[Any]) -> list[float]:
            return [trial[key] for trial in seeds]

        return {
            PARAMETERS: wide[0]["parameters"] / deep[0]["parameters"],
            MACS: wide[0]["macs"] / deep[0]["macs"],
            "test error, wide": of("final_test_error", wide),
            "test error, deep": of("final_test_error", deep),
            GAIN: paired(of("final_test_error", deep), of("final_test_error", wide)),
            SPEED: [
                one / other
                for one, other in zip(
                    of("images_per_second", wide), of("images_per_second", deep), strict=True
                )
            ],
        }

    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        names = {
            name: f"{seeds[0]['depth']} layers, width {seeds[0]['width']}"
            for name, seeds in trials.items()
        }
        return train_and_test(theme, trials, names)


EXPERIMENT = _WidthAndDepth()
