"""Blocks that start as the identity: zero gamma, SkipInit, Fixup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from minires import nn
from minires.autograd import Tensor, no_grad
from minires.devices import random
from minires.lab.experiment import Claim, Experiment, ScaleName, Trials
from minires.lab.figures import name_curves, panels, spread
from minires.lab.images import Images
from minires.lab.learning import PUBLISHED, Recipe, learn
from minires.lab.networks import NetworkScale, network_for
from minires.lab.rules import Above, Below, Equal, Every, Given, Measured
from minires.lab.seeds import paired
from minires.nn.block_init import fixup_, zero_last_scale_
from minires.ops import randn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minires.lab.theme import Theme

GOYAL = "Goyal et al. 2017, arXiv 1706.02677"
ZHANG = "Zhang et al. 2019, arXiv 1901.09321"
DE = "De and Smith 2020, arXiv 2002.10444"
ONES = "ordinary start"
ZERO, SKIPINIT, FIXUP, NONE = "zero gamma", "SkipInit", "Fixup", "no norm, scale 1"
_NORMS = {ONES: "batch", ZERO: "batch", SKIPINIT: "skipinit", FIXUP: "fixup", NONE: "none"}
SAME = "blocks in a row that return their input, to the bit"
WORSE = "training error, ordinary start less zero gamma"
BEST = "training error, guessing less the best of the other starts"
_BLOCKS = 54


def learns(start: str) -> str:
    """Return the name of the quantity that compares a start with guessing."""
    return f"training error, guessing less {start}"


class _IdentityStarts(Experiment):
    """Exactness at step 0, and very deep networks trained with and without norms."""

    name = "identity-starts"
    title = "A very deep network trains without norms, if its blocks start as the identity"
    about = (
        "First, without training: an input goes through 54 blocks of each kind that have nothing"
        " behind their addition, and is compared with the output. Then a residual network of over"
        " 100 blocks is trained with batch norm, from the ordinary start and with every last scale"
        " at 0; and without norms, with SkipInit, with Fixup, and as it is. Gradients are clipped"
        " nowhere. Zero gamma is compared with the ordinary start only where that learns in every"
        " seed, for which short trainings of so deep a network may not be enough."
    )
    caption = (
        "Training loss by step, mean of ten steps, thin for each seed and thick for their mean; a"
        " curve that ends early has diverged."
    )
    claims = (
        Claim(
            "With zero gamma, SkipInit or Fixup, every block is the identity at step 0.",
            f"{GOYAL}, section 5.1; {DE}, section 4; {ZHANG}, section 3",
            "equal",
            Every(*(Equal(f"{SAME}, {start}", _BLOCKS) for start in (ZERO, SKIPINIT, FIXUP))),
        ),
        Claim(
            "With SkipInit or Fixup over 100 blocks train without norms.",
            f"{DE}, table 1 (up to 1,000 layers); {ZHANG}, section 4 (10,000 layers)",
            "ResNet-110: BN 92.58 % accuracy, Fixup 93.0 % (a reproduction, 5 seeds)",
            Every(*(Above(learns(start), 0.1, otherwise=0.0) for start in (SKIPINIT, FIXUP))),
        ),
        Claim(
            "Without norms and with branches at full scale they do not.",
            f"{DE}, table 1",
            "fails",
            Given(Above(BEST, 0.1), Below(learns(NONE), 0.05, otherwise=0.1)),
        ),
        Claim(
            "Zero gamma is no worse than the ordinary start (here, in training error).",
            f"{GOYAL}, table 2b",
            "validation error 23.60 against 23.84 % (batch 256), 23.74 against 24.11 % (batch 8k)",
            Given(Above(learns(ONES), 0.1), Above(WORSE, -0.02, otherwise=-0.1)),
            shows_at="paper",
        ),
    )
    scales: ClassVar[dict[ScaleName, NetworkScale]] = {
        "tiny": NetworkScale(
            seconds=8,
            images=Images("digits", train=128, test=100),
            depth=32,
            width=4,
            recipe=Recipe(1, learning_rate=0.05),
        ),
        "small": NetworkScale(
            seconds=250,
            images=Images("digits", test=200),
            depth=308,
            width=4,
            recipe=Recipe(5, learning_rate=0.02, measure_every=5),
        ),
        "paper": NetworkScale(
            seconds=2e7, images=Images("cifar10"), depth=608, width=16, recipe=PUBLISHED
        ),
    }

    def conditions(self, scale: NetworkScale) -> Sequence[str]:
        return ["step 0", *_NORMS]

    def run(self, condition: str, scale: NetworkScale, seed: int, device: str) -> dict[str, Any]:
        if condition == "step 0":
            return {start: _unchanged(start, seed) for start in (ZERO, SKIPINIT, FIXUP)}
        split = scale.images.read()
        model = network_for(split, scale.depth, scale.width, seed, norm=_NORMS[condition])
        if condition == ZERO:
            zero_last_scale_(model)
        learned = learn(model, split, scale.recipe, seed=seed, device=device)
        return {**learned.record(), "loss": learned.loss, "guessing": 1 - 1 / split.classes}

    def measure(self, trials: Trials, scale: NetworkScale) -> Measured:
        errors = {
            start: [trial["final_train_error"] for trial in trials[start]] for start in _NORMS
        }
        guessing = [trial["guessing"] for trial in trials[ONES]]
        best = [min(seed) for seed in zip(*(errors[s] for s in errors if s != NONE), strict=True)]
        return {
            **{
                f"{SAME}, {start}": min(trial[start] for trial in trials["step 0"])
                for start in (ZERO, SKIPINIT, FIXUP)
            },
            **{f"training error, {start}": values for start, values in errors.items()},
            **{
                learns(start): paired(guessing, errors[start])
                for start in (ONES, SKIPINIT, FIXUP, NONE)
            },
            BEST: paired(guessing, best),
            WORSE: paired(errors[ONES], errors[ZERO]),
        }

    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        figure, (ax,) = panels(theme, width=7)
        for number, start in enumerate(_NORMS):
            curves = [_smoothed(trial["loss"]) for trial in trials[start]]
            longest = max(map(len, curves))
            has_diverged = all(trial["diverged"] for trial in trials[start])
            name = f"{start} (diverged)" if has_diverged else start
            spread(ax, range(1, longest + 1), curves, name, number, theme)
        ax.set_ylim(0, 6)  # what diverges leaves it at once
        ax.set_xlabel("step")
        ax.locator_params(axis="x", integer=True, min_n_ticks=1)
        ax.set_ylabel("training loss")
        name_curves(ax, theme)
        return figure


def _unchanged(start: str, seed: int) -> int:
    """Return how many blocks in a row return their input, to the bit."""
    # With zero gamma a branch must end in a norm; nothing follows the addition in either order.
    order = "linear" if start == ZERO else "full_preactivation"
    with random.seeded(seed):
        blocks = [
            nn.BasicBlock(4, 4, shortcut="A", order=order, norm=_NORMS[start])
            for _ in range(_BLOCKS)
        ]
        whole = nn.Sequential(*blocks, nn.Linear(6, 1))
        x: Tensor = randn(2, 4, 6, 6)
    if start == ZERO:
        zero_last_scale_(whole)
    if start == FIXUP:
        fixup_(whole)
    count = 0
    with no_grad():
        for block in blocks:
            if not (block(x).numpy() == x.numpy()).all():
                break
            count += 1
    return count


def _smoothed(losses: Sequence[float], span: int = 10) -> list[float]:
    """Return the mean of each loss and those before it, as many as a span."""
    return [
        sum(losses[max(0, i - span + 1) : i + 1]) / min(i + 1, span) for i in range(len(losses))
    ]


EXPERIMENT = _IdentityStarts()
