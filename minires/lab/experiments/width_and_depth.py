"""Width against depth: a wide shallow residual network and a thin deep one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, ClassVar

from minires.data import Split
from minires.lab.experiment import Claim, Experiment, Scale, ScaleName, Trials
from minires.lab.figures import train_and_test
from minires.lab.images import Images
from minires.lab.learning import Recipe, learn
from minires.lab.networks import gained, network_for
from minires.lab.rules import Above, Every, Given, Measured, Within
from minires.lab.seeds import paired
from minires.models.counting import count, without_values
from minires.nn import Module
from minires.ops import cross_entropy, tensor
from minires.optim import SGD

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minires.lab.theme import Theme

ZAGORUYKO = "Zagoruyko and Komodakis 2016, arXiv 1605.07146"
PARAMETERS = "parameters of the wide network over those of the deep one"
MACS = "MACs of the wide network over those of the deep one"
GAIN = "test error of the deep network less that of the wide one"
SPEED = "images per second in training, wide network over deep one, median of pairs of steps"
KNOWS = "what the deep network has learned: error of guessing less its test error"
# Zagoruyko and Komodakis 2016, section 3; the same as the recipe "wrn" of `minires train`.
_PUBLISHED = Recipe(
    epochs=200,
    batch_size=128,
    weight_decay=5e-4,
    falls=(0.3, 0.6, 0.8),
    factor=0.2,
    nesterov=True,
    augment=True,
    measure_every=4,
)


@dataclass(frozen=True, kw_only=True)
class _Scale(Scale):
    images: Images
    wide: tuple[int, int]  # depth, width
    deep: tuple[int, int]
    recipe: Recipe
    pairs: int = 20  # of steps that are timed


class _WidthAndDepth(Experiment):
    """Two networks of one size, one wide and one deep."""

    name = "width-and-depth"
    title = "At equal size, a wide shallow network trains faster than a thin deep one"
    about = (
        "Two residual networks with about the same numbers of parameters and of multiplications:"
        " one has few layers with many channels, the other many layers with few. Width is the"
        " number of channels of a layer, depth the number of layers on the longest way. For the"
        " speed both are built in one process and take steps in turn: whatever else runs then"
        " slows both down. The networks of the paper's own pair are less alike in size."
    )
    caption = (
        "Training error, left, and test error, right, by epoch, thin for each seed: in the form of"
        " figure 2 of Zagoruyko and Komodakis 2016."
    )
    claims = (
        Claim(
            "A wide shallow network is no worse than a thin deep one of the same size.",
            f"{ZAGORUYKO}, section 3 and tables 4 and 5",
            "WRN-40-4, 8.9 million parameters, 4.53 % (unverified); pre-activation ResNet-1001,"
            " 10.2 million, 4.92 %",
            Given(
                Above(KNOWS, 0.1),
                Every(
                    Within(PARAMETERS, 0.8, 1.25),
                    Within(MACS, 0.8, 1.25),
                    Above(GAIN, -0.01, -0.03),
                ),
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
            seconds=250,
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
            recipe=_PUBLISHED,
        ),
    }

    def conditions(self, scale: _Scale) -> Sequence[str]:
        return ["wide", "deep", "speed"]

    def run(self, condition: str, scale: _Scale, seed: int, device: str) -> dict[str, Any]:
        split = scale.images.read()
        if condition == "speed":
            return {"faster": _faster(split, scale, seed, device)}
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
            KNOWS: gained(of("final_test_error", deep)),
            SPEED: [median(trial["faster"]) for trial in trials["speed"]],
        }

    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        names = {
            name: f"{trials[name][0]['depth']} layers, width {trials[name][0]['width']}"
            for name in ("wide", "deep")
        }
        return train_and_test(theme, trials, names)


def _faster(split: Split, scale: _Scale, seed: int, device: str) -> list[float]:
    """Return how many times as long the deep network's steps take as the wide one's, in turn."""
    steps = [
        _step(network_for(split, *size, seed), split, scale.recipe, device)
        for size in (scale.wide, scale.deep)
    ]
    for step in steps:
        step()  # the first takes longer
    timed = [[step() for step in steps] for _ in range(scale.pairs)]
    return [float(f"{deep / wide:.4g}") for wide, deep in timed]


def _step(model: Module, split: Split, recipe: Recipe, device: str) -> Callable[[], float]:
    """Return what takes one step of training, and returns its seconds."""
    images, labels = split.train.take(range(min(recipe.batch_size, len(split.train))))
    x, target = tensor(images, device=device), tensor(labels, device=device)
    # How far a step goes does not matter here, only how long it takes; at no rate none diverges.
    optimizer = SGD(model.to(device).train().parameters(), 0.0, recipe.momentum)

    def step() -> float:
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
        loss.item()  # waits for an accelerator
        return time.perf_counter() - start

    return step


EXPERIMENT = _WidthAndDepth()
