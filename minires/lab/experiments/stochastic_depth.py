"""Stochastic depth: trained shallow by chance, asked deep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from minires import nn
from minires.autograd import EngineHook, Node, Op, Tensor, no_grad
from minires.data import Split
from minires.lab.experiment import Claim, Experiment, ScaleName, Trials
from minires.lab.figures import train_and_test
from minires.lab.images import Images
from minires.lab.learning import PUBLISHED, Recipe, learn
from minires.lab.networks import NetworkScale, final_errors, gained, network_for
from minires.lab.rules import Above, Every, Given, Measured, Within
from minires.lab.seeds import paired

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minires.lab.theme import Theme

HUANG = "Huang et al. 2016, arXiv 1603.09382"
GAIN = "test error with constant depth less that with stochastic depth"
GAP = "generalisation gap with constant depth less that with stochastic depth"
KNOWS = "what constant depth has learned: error of guessing less its training error"
RAN = "share of branches that a training step runs, on average"
LAST, FIRST = "survival of the last branch", "survival of the first branch"
CONSTANT, STOCHASTIC = "constant depth", "stochastic depth"
_DROPPED = 0.5  # of the last branch
# Huang et al. 2016, section 4: as He et al. 2015, but for 500 epochs, and from 0.1 on (unverified).
_PUBLISHED = replace(PUBLISHED, epochs=500)


class _StochasticDepth(Experiment):
    """The same network trained with all of its branches, and with some left out by chance."""

    name = "stochastic-depth"
    title = "Networks that are trained with blocks left out by chance"
    about = (
        "Two residual networks with the same weights at the start: one is trained as it is, in the"
        " other a branch is left out with a probability that grows linearly from the first block to"
        " 0.5 at the last. At evaluation both use all of their branches. minires draws anew for"
        " every image, not for every batch: so no time is saved here, and the paper's 25 % are not"
        " measured."
    )
    caption = (
        "Training error, left, and test error, right, by epoch, thin for each seed: in the form of"
        " figure 3 of Huang et al. 2016."
    )
    claims = (
        Claim(
            "With stochastic depth the test error is lower.",
            f"{HUANG}, table 1 and figure 3",
            "ResNet-110, CIFAR-10: 5.23 % against 6.41 % (best validation)",
            Given(Above(KNOWS, 0.1), Above(GAIN)),
            shows_at="paper",
        ),
        Claim(
            "It regularises: the gap between training and test error is smaller.",
            f"{HUANG}, section 4 and figure 3",
            "curves only",
            # Who guesses has no gap, either.
            Given(Every(Above(KNOWS, 0.1), Above(GAIN, -0.01)), Above(GAP)),
            shows_at="paper",
        ),
        Claim(
            "With linear decay to one half, a step runs three quarters of the branches on average.",
            f"{HUANG}, section 3, equation 4",
            "3/4; about 25 % of the time saved (60 against 75 s for an epoch)",
            Every(Within(RAN, 0.7, 0.8), Within(LAST, 0.5, 0.5), Above(FIRST, 0.9, otherwise=0.5)),
        ),
    )
    scales: ClassVar[dict[ScaleName, NetworkScale]] = {
        "tiny": NetworkScale(
            seconds=4,
            images=Images("digits", train=200, test=100),
            depth=32,
            width=4,
            recipe=Recipe(1),
        ),
        "small": NetworkScale(
            seconds=250,
            images=Images(train=3200, test=800, side=16),
            depth=32,
            width=8,
            recipe=Recipe(12),
        ),
        "paper": NetworkScale(
            seconds=9e6, images=Images("cifar10"), depth=110, width=16, recipe=_PUBLISHED
        ),
    }

    def conditions(self, scale: NetworkScale) -> Sequence[str]:
        return [CONSTANT, STOCHASTIC]

    def run(self, condition: str, scale: NetworkScale, seed: int, device: str) -> dict[str, Any]:
        split = scale.images.read()
        model = network_for(
            split,
            scale.depth,
            scale.width,
            seed,
            stochastic_depth=_DROPPED if condition == STOCHASTIC else 0.0,
        )
        dropping = [m.p for m in model.modules() if isinstance(m, nn.StochasticDepth)]
        record = learn(model, split, scale.recipe, seed=seed, device=device).record()
        # Where a network has diverged, no branch gives numbers to be counted.
        ran = None if record["diverged"] else _share_run(model, split) if dropping else 1.0
        return {**record, "survival": [1 - p for p in dropping], "ran": ran}

    def measure(self, trials: Trials, scale: NetworkScale) -> Measured:
        errors = partial(final_errors, trials)
        gaps = [
            paired(errors(name, "test"), errors(name, "train")) for name in (CONSTANT, STOCHASTIC)
        ]
        survival = trials[STOCHASTIC][0]["survival"]
        return {
            f"test error, {CONSTANT}": errors(CONSTANT, "test"),
            f"test error, {STOCHASTIC}": errors(STOCHASTIC, "test"),
            GAIN: paired(errors(CONSTANT, "test"), errors(STOCHASTIC, "test")),
            KNOWS: gained(errors(CONSTANT, "train")),
            GAP: paired(*gaps),
            RAN: [trial["ran"] for trial in trials[STOCHASTIC]],
            LAST: survival[-1],
            FIRST: survival[0],
        }

    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        return train_and_test(theme, trials, {name: name for name in trials})


def _share_run(model: nn.Module, split: Split) -> float:
    """Count the branches that a step in training mode runs, over its first 256 images."""
    images = split.train.arrays[0][:256]
    device = next(model.parameters()).device
    with _Kept() as kept, no_grad():
        model.train()(Tensor(images).to(device))
    return sum(kept.shares) / len(kept.shares)


class _Kept(EngineHook):
    """Looks at how many images of a batch each branch is left to."""

    def __init__(self) -> None:
        self.shares: list[float] = []

    def op_ran(self, op: Op[Any], inputs: tuple[Any, ...], output: Any, node: Node | None) -> None:
        if op.name == "dropout":
            values = output.numpy()
            self.shares.append(float(values.any(tuple(range(1, values.ndim))).mean()))


EXPERIMENT = _StochasticDepth()
