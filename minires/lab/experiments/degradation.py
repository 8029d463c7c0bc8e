"""Degradation: a deeper plain network trains worse; with shortcuts it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from minires.lab.experiment import Claim, Experiment, Scale, ScaleName, Trials
from minires.lab.figures import epochs_of, label_epochs, name_curves, panels, spread
from minires.lab.images import Images
from minires.lab.learning import PUBLISHED, Recipe, learn
from minires.lab.networks import network_for
from minires.lab.rules import Above, Below, Equal, Every, Given, Measured
from minires.lab.seeds import paired

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minires.lab.theme import Theme

HE2015 = "He et al. 2015, arXiv 1512.03385"
PLAIN_RISE = "training error of the deepest plain network less that of the shallowest"
RESIDUAL_RISE = "training error of the deepest residual network less that of the shallowest"
MIDDLE_RISE = "training error of the next deeper plain network less that of the shallowest"
MIDDLE_LEARNS = "what that network has learned: error of guessing less its training error"
SHALLOW_LEARNS = "error of guessing less the training error of the shallowest residual network"
TEST_RISE = "test error of the deepest plain network less that of the shallowest"
GAP = "training error of the deepest plain network less that of its residual twin"
_GUESSING = 0.9
EXTRA = "parameters of residual networks less those of their plain twins, the largest difference"
# The deepest may not even begin to learn; the next deeper one must, and be worse.
DEEPER_IS_WORSE = Given(Above(MIDDLE_LEARNS, 0.1), Every(Above(PLAIN_RISE), Above(MIDDLE_RISE)))


@dataclass(frozen=True, kw_only=True)
class _Scale(Scale):
    images: Images
    depths: tuple[int, ...]
    width: int
    recipe: Recipe


class _Degradation(Experiment):
    """Plain networks and their residual twins of several depths, trained alike."""

    name = "degradation"
    title = "Deeper plain networks train worse, residual ones do not"
    about = (
        "Plain networks and their residual twins of several depths are trained by one recipe."
        " Twins have the same layers and, with shortcuts that pad with zeros, the same number of"
        " parameters, start from the same numbers and see the same images in the same order."
    )
    caption = (
        "Training error by epoch, thin for each seed and thick for their mean, in the form of"
        " figure 6 of He et al. 2015: plain networks left, residual ones right."
    )
    claims = (
        Claim(
            "With more layers a plain network gets a higher training error: it is not overfitting.",
            f"{HE2015}, figures 1 and 6",
            "curves only; in one reproduction plain-20 ends at 1.23 %, plain-56 at 5.24 %",
            DEEPER_IS_WORSE,
        ),
        Claim(
            "With shortcuts, which add no parameters, the deep network trains better.",
            f"{HE2015}, figure 6 and table 6",
            "ResNet-56 against plain-56, training error: 0.18 % and 5.24 % in one reproduction",
            Every(Above(GAP), Equal(EXTRA, 0)),
        ),
        Claim(
            "With shortcuts more layers no longer make the training error rise.",
            f"{HE2015}, figure 6 and table 6",
            "ResNet-20 and ResNet-56, training error: 0.73 % and 0.18 % in one reproduction",
            Given(Above(SHALLOW_LEARNS, 0.1), Below(RESIDUAL_RISE, 0.01)),
        ),
    )
    scales: ClassVar[dict[ScaleName, _Scale]] = {
        "tiny": _Scale(
            seconds=2,
            images=Images("digits", train=200, test=100),
            depths=(8, 20),
            width=4,
            recipe=Recipe(1),
        ),
        "small": _Scale(
            seconds=630,
            # So few that 1,000 steps are enough for those who can learn them.
            images=Images(train=800, test=400, side=16),
            depths=(20, 32, 56),
            width=8,
            recipe=Recipe(40, 32, learning_rate=0.05, measure_every=4),
        ),
        "paper": _Scale(
            seconds=2e6,
            images=Images("cifar10"),
            depths=(20, 32, 44, 56),
            width=16,
            recipe=PUBLISHED,
        ),
    }

    def conditions(self, scale: _Scale) -> Sequence[str]:
        return [f"{kind}-{depth}" for depth in scale.depths for kind in ("plain", "residual")]

    def run(self, condition: str, scale: _Scale, seed: int, device: str) -> dict[str, Any]:
        kind, depth = condition.split("-")
        split = scale.images.read()
        model = network_for(
            split, int(depth), scale.width, seed, "A" if kind == "residual" else None
        )
        return learn(model, split, scale.recipe, seed=seed, device=device).record()

    def measure(self, trials: Trials, scale: _Scale) -> Measured:
        def errors(kind: str, depth: int, part: str = "train") -> list[float]:
            return [trial[f"final_{part}_error"] for trial in trials[f"{kind}-{depth}"]]

        shallow, middle, *_ = scale.depths
        deep = scale.depths[-1]
        extra = [
            abs(residual["parameters"] - plain["parameters"])
            for depth in scale.depths
            for plain, residual in zip(
                trials[f"plain-{depth}"], trials[f"residual-{depth}"], strict=True
            )
        ]
        return {
            **{
                f"training error, {kind}-{depth}": errors(kind, depth)
                for kind in ("plain", "residual")
                for depth in scale.depths
            },
            PLAIN_RISE: paired(errors("plain", deep), errors("plain", shallow)),
            MIDDLE_RISE: paired(errors("plain", middle), errors("plain", shallow)),
            MIDDLE_LEARNS: [_GUESSING - error for error in errors("plain", middle)],
            SHALLOW_LEARNS: [_GUESSING - error for error in errors("residual", shallow)],
            TEST_RISE: paired(errors("plain", deep, "test"), errors("plain", shallow, "test")),
            GAP: paired(errors("plain", deep), errors("residual", deep)),
            RESIDUAL_RISE: paired(errors("residual", deep), errors("residual", shallow)),
            EXTRA: max(extra),
        }

    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        figure, axes = panels(theme, 2, sharey=True)
        for ax, kind in zip(axes, ("plain", "residual"), strict=True):
            for number, (condition, seeds) in enumerate(
                (name, seeds) for name, seeds in trials.items() if name.startswith(kind)
            ):
                curves = [[100 * error for error in trial["train_error"]] for trial in seeds]
                spread(ax, epochs_of(seeds), curves, condition, number, theme)
            label_epochs(ax)
            name_curves(ax, theme)
        axes[0].set_ylabel("training error, %")
        return figure


EXPERIMENT = _Degradation()
