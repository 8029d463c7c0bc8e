"""Options A, B and C: how a shortcut passes a change of shape."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from minires.lab.experiment import Claim, Experiment, ScaleName, Trials
from minires.lab.figures import bars, epochs_of, label_epochs, name_curves, panels, spread
from minires.lab.images import Images
from minires.lab.learning import PUBLISHED, Recipe, learn
from minires.lab.networks import NetworkScale, final_errors, gained, network_for
from minires.lab.rules import Above, Equal, Every, Given, Measured
from minires.lab.seeds import paired

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minires.lab.theme import Theme

HE2015 = "He et al. 2015, arXiv 1512.03385"
OPTIONS = ("plain", "A", "B", "C")
EXTRA_A = "parameters of option A less those of plain"
B_BEFORE_A = "test error of A less that of B"
C_BEFORE_B = "test error of B less that of C"


def better(option: str) -> str:
    """Return the name of the quantity that compares an option with plain."""
    return f"training error of plain less that of {option}"


def knows(option: str) -> str:
    """Return the name of the quantity that tells what an option has learned."""
    return f"what {option} has learned: error of guessing less its training error"


_LEARN = Every(*(Above(knows(option), 0.1) for option in "ABC"))


class _ShortcutOptions(Experiment):
    """A deep network with each of the options, and its plain twin."""

    name = "shortcut-options"
    title = "Any shortcut is far better than none; how it changes shape hardly matters"
    about = (
        "Where a stage halves the image and doubles the channels, the shortcut is padded with zeros"
        " (A) or projected (B); C projects always. All options and the plain twin start from the"
        " same numbers in all that they share. A few epochs tell how quickly each learns, not where"
        " it ends. That B is better than A, and C than B, was found on ImageNet, which no scale"
        " here has: it need not show at any. (Of ResNet-110 on CIFAR-10, He et al. 2016 report C as"
        " worse: 12.22 % against 6.61 %.)"
    )
    caption = "Left: training error by epoch, thin for each seed. Right: parameters, in thousands."
    claims = (
        Claim(
            "All three options are considerably better than the plain network.",
            f"{HE2015}, table 3",
            "ResNet-34, ImageNet, top-1: plain 28.54 %, A 25.03 %, B 24.52 %, C 24.19 %",
            Given(_LEARN, Every(*(Above(better(option)) for option in "ABC"))),
            shows_at="paper",
        ),
        Claim(
            "Option A has no parameters of its own.",
            f"{HE2015}, sections 3.2 and 4.2",
            "none",
            Equal(EXTRA_A, 0),
        ),
        Claim(
            "B is slightly better than A, and C than B.",
            f"{HE2015}, table 3",
            "25.03 %, 24.52 % and 24.19 %",
            Given(_LEARN, Every(Above(B_BEFORE_A), Above(C_BEFORE_B))),
            shows_at=None,
        ),
    )
    scales: ClassVar[dict[ScaleName, NetworkScale]] = {
        "tiny": NetworkScale(
            seconds=5,
            images=Images("digits", train=128, test=100),
            depth=14,
            width=4,
            recipe=Recipe(1),
        ),
        "small": NetworkScale(
            seconds=370,
            images=Images(train=3200, test=800, side=16),
            depth=56,
            width=8,
            recipe=Recipe(6, learning_rate=0.05, measure_every=2),
        ),
        "paper": NetworkScale(
            seconds=6e6, images=Images("cifar10"), depth=56, width=16, recipe=PUBLISHED
        ),
    }

    def conditions(self, scale: NetworkScale) -> Sequence[str]:
        return OPTIONS

    def run(self, condition: str, scale: NetworkScale, seed: int, device: str) -> dict[str, Any]:
        split = scale.images.read()
        model = network_for(
            split, scale.depth, scale.width, seed, None if condition == "plain" else condition
        )
        return learn(model, split, scale.recipe, seed=seed, device=device).record()

    def measure(self, trials: Trials, scale: NetworkScale) -> Measured:
        errors = partial(final_errors, trials)
        return {
            **{f"test error, {option}": errors(option, "test") for option in OPTIONS},
            **{
                better(option): paired(errors("plain", "train"), errors(option, "train"))
                for option in "ABC"
            },
            **{knows(option): gained(errors(option, "train")) for option in "ABC"},
            EXTRA_A: trials["A"][0]["parameters"] - trials["plain"][0]["parameters"],
            B_BEFORE_A: paired(errors("A", "test"), errors("B", "test")),
            C_BEFORE_B: paired(errors("B", "test"), errors("C", "test")),
        }

    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        figure, (curves, sizes) = panels(theme, 2)
        for number, (option, seeds) in enumerate(trials.items()):
            lines = [[100 * error for error in trial["train_error"]] for trial in seeds]
            colour = 1 if option == "plain" else 0 if option == "A" else number
            spread(curves, epochs_of(seeds), lines, option, colour, theme)
        label_epochs(curves)
        curves.set_ylabel("training error, %")
        name_curves(curves, theme)
        bars(sizes, {name: seeds[0]["parameters"] / 1e3 for name, seeds in trials.items()}, theme)
        sizes.set_ylabel("parameters, thousands")
        return figure


EXPERIMENT = _ShortcutOptions()
