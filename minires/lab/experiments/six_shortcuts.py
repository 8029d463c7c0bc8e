"""Six kinds of shortcuts: the clean one is best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from minires import nn
from minires.autograd import Tensor, grad
from minires.devices import random
from minires.lab.experiment import Claim, Experiment, ScaleName, Trials
from minires.lab.figures import epochs_of, label_epochs, name_curves, panels, spread
from minires.lab.images import Images
from minires.lab.learning import PUBLISHED_110, Recipe, learn
from minires.lab.networks import NetworkScale, final_errors, gained, network_for
from minires.lab.rules import Above, Below, Every, Given, Measured
from minires.lab.seeds import paired
from minires.models import cifar_resnet
from minires.nn import sequential
from minires.nn.shortcuts import DropoutShortcut, GatedShortcut, ScaledShortcut, Shortcut
from minires.ops import cross_entropy, mean, randn, relu, tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minires.lab.theme import Theme

HE2016 = "He et al. 2016, arXiv 1603.05027"
FIRST = "gradient norm of the first 3x3 convolution over the last one's, at the first step"
LIVING_LAW = "largest relative error of lambda^17 through 17 living blocks, by the shortcuts alone"
LAW = "largest relative error of lambda^L as the gradient through L shortcuts"
SCALES = (0.5, 0.9, 0.99, 1.0, 1.1)
_BLOCKS, _LIVING_BLOCKS = 54, 17  # of ResNet-110; of its first stage, but for the first


class _Row(NamedTuple):
    """A row of table 1; an error of None is a failure, above 20 %."""

    shortcut: Shortcut
    error: float | None


ORIGINAL = "original"
ROWS = {
    ORIGINAL: _Row("A", 6.61),
    "0 : 1 (plain)": _Row(None, None),
    "0.5 : 1": _Row(partial(ScaledShortcut, alpha=0.5), None),
    "0.5 : 0.5": _Row(partial(ScaledShortcut, alpha=0.5, beta=0.5), 12.35),
    "exclusive gate, bias 0": _Row(partial(GatedShortcut, bias=0.0), None),
    "exclusive gate, bias -6": _Row(partial(GatedShortcut, bias=-6.0), 8.70),
    "exclusive gate, bias -7": _Row(partial(GatedShortcut, bias=-7.0), 9.81),
    "shortcut gate, bias 0": _Row(partial(GatedShortcut, exclusive=False, bias=0.0), 12.86),
    "shortcut gate, bias -6": _Row(partial(GatedShortcut, exclusive=False, bias=-6.0), 6.91),
    "1x1 convolution": _Row("C", 12.22),
    "dropout 0.5": _Row(DropoutShortcut, None),
}
_LAW, _LIVING = "lambda law", "living networks"
_FAILED = tuple(name for name, row in ROWS.items() if row.error is None)


def worse(row: str, part: str = "test") -> str:
    """Return the name of the quantity that compares a row with the original."""
    return f"{part} error, {row}, less that of the original"


KNOWS = "what the original has learned: error of guessing less its test error"
LEARNS = Above(KNOWS, 0.1)
IS_BEST = Given(LEARNS, Every(*(Above(worse(row)) for row in ROWS if row != ORIGINAL)))


class _SixShortcuts(Experiment):
    """The lambda law at initialisation, and all rows of table 1 trained."""

    name = "six-shortcuts"
    title = "Whatever stands on the shortcut makes it worse"
    about = (
        "First, without training: a stack of blocks whose branches are silent and whose shortcuts"
        " multiply by lambda; the gradient that arrives at its input is compared with lambda^L. In"
        " networks whose branches live this is one term of equation 8: in a ResNet-110"
        " (pre-activation, width 4) the gradient is cut off from the branches, and behind the first"
        " block of the first stage over behind the last it is compared with lambda^17. (The first"
        " block's shortcut starts behind a norm.) The whole gradient, through the branches too, may"
        " even explode. Then a deep residual network is trained with each of the shortcuts of the"
        " paper's table 1. All rows have the same 3x3 convolutions, norms and linear layer, which"
        " start from the same numbers, and see the same images in the same order; gates and 1x1"
        " convolutions are their own. Each is compared with the same networks, the original's."
    )
    caption = (
        "Left: the gradient through L shortcuts (section 3 of He et al. 2016). Middle: training"
        " error by epoch, mean of the seeds, in the form of figure 3. Right: test error here"
        " (dots, one for each seed) beside table 1 (crosses; an arrow where the paper has a"
        " failure, above 20 %)."
    )
    claims = (
        Claim(
            "What comes through L shortcuts alone, of lambda each, is multiplied by lambda^L.",
            f"{HE2016}, section 3, equation 8",
            "0.5^54 = 5.6e-17, 0.9^54 = 0.0034, 0.99^54 = 0.58, 1.1^54 = 172 (computed)",
            Every(Below(LAW, 1e-9), Below(LIVING_LAW, 1e-9)),
        ),
        Claim(
            "Cases that fail in the paper (plain, 0.5 : 1, an open exclusive gate, dropout) learn"
            " far worse than the original.",
            f"{HE2016}, table 1",
            "test error above 20 %, against 6.61 %",
            Every(*(Above(worse(row, "training"), 0.1, otherwise=0.0) for row in _FAILED)),
        ),
        Claim(
            "A 1x1 convolution on every shortcut can do more than the identity, and is worse.",
            f"{HE2016}, table 1 and section 3",
            "12.22 % against 6.61 %",
            Given(LEARNS, Above(worse("1x1 convolution"))),
        ),
        Claim(
            "The identity has the lowest test error of all.",
            f"{HE2016}, table 1",
            "6.61 %; next are 6.91 % (shortcut gate, bias -6) and 8.70 % (exclusive gate, bias -6)",
            IS_BEST,
            shows_at="paper",  # the next best is 0.3 % worse
        ),
    )
    scales: ClassVar[dict[ScaleName, NetworkScale]] = {
        "tiny": NetworkScale(
            seconds=12,
            images=Images("digits", train=128, test=100),
            depth=14,
            width=4,
            recipe=Recipe(1),
        ),
        "small": NetworkScale(
            seconds=1140,
            images=Images(train=3200, test=800, side=16),
            depth=56,
            width=8,
            recipe=Recipe(6, learning_rate=0.05, measure_every=2),
        ),
        "paper": NetworkScale(
            seconds=4e7, images=Images("cifar10"), depth=110, width=16, recipe=PUBLISHED_110
        ),
    }

    def conditions(self, scale: NetworkScale) -> Sequence[str]:
        return [_LAW, _LIVING, *ROWS]

    def run(self, condition: str, scale: NetworkScale, seed: int, device: str) -> dict[str, Any]:
        if condition == _LAW:
            norms = {each: _through_shortcuts(each, seed) for each in SCALES}
            apart = [
                abs(norm / each**blocks - 1)
                for each, found in norms.items()
                for blocks, norm in enumerate(found)
            ]
            return {"norms": {str(each): found for each, found in norms.items()}, LAW: max(apart)}
        if condition == _LIVING:
            living = _living(seed)
            return {**living, LIVING_LAW: _product_error(living["alone"])}
        split = scale.images.read()
        model = network_for(split, scale.depth, scale.width, seed, ROWS[condition].shortcut)
        # Of the first step alone: what a network of live branches makes of the gradient.
        recipe = replace(scale.recipe, norms_every=10**9)
        return learn(model, split, recipe, seed=seed, device=device).record()

    def measure(self, trials: Trials, scale: NetworkScale) -> Measured:
        errors = partial(final_errors, trials)
        return {
            LAW: [trial[LAW] for trial in trials[_LAW]],
            LIVING_LAW: [trial[LIVING_LAW] for trial in trials[_LIVING]],
            **{
                f"whole gradient before 17 living blocks over that behind, lambda {each}": [
                    trial["whole"][str(each)] for trial in trials[_LIVING]
                ]
                for each in SCALES
            },
            **{f"test error, {row}": errors(row, "test") for row in ROWS},
            KNOWS: gained(errors(ORIGINAL, "test")),
            **{
                f"{FIRST}, {row}": [_first_over_last(trial) for trial in trials[row]]
                for row in ROWS
            },
            **{
                worse(row, words): paired(errors(row, part), errors(ORIGINAL, part))
                for words, part in (("training", "train"), ("test", "test"))
                for row in ROWS
                if row != ORIGINAL
            },
        }

    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        figure, (law, curves, table) = panels(theme, 3, height=4.4, width=4.9)
        for number, each in enumerate(SCALES):
            norms = trials[_LAW][0]["norms"][str(each)]
            spread(law, range(len(norms)), [norms], f"lambda {each:g}", number, theme)
        law.set_yscale("log")
        law.set_xlabel("blocks L")
        law.set_ylabel("gradient at the input, relative")
        name_curves(law, theme)
        for number, row in enumerate((ORIGINAL, "0 : 1 (plain)", "0.5 : 1", "1x1 convolution")):
            seeds = trials[row]
            lines = [[100 * error for error in trial["train_error"]] for trial in seeds]
            spread(curves, epochs_of(seeds), lines, row, number, theme)
        label_epochs(curves)
        curves.set_ylabel("training error, %")
        name_curves(curves, theme)
        for place, (row, published) in enumerate(ROWS.items()):
            found = [100 * error for error in measured[f"test error, {row}"]]
            table.plot(found, [place] * len(found), "o", markersize=4, color=theme.colour(0))
            fails = published.error is None
            table.plot(
                [20 if published.error is None else published.error],
                [place],
                ">" if fails else "x",
                color=theme.colour(1),
            )
        table.set_yticks(range(len(ROWS)), list(ROWS))
        table.invert_yaxis()
        table.set_xlim(0, None)
        table.set_xlabel("test error, %")
        return figure


def _first_over_last(trial: Mapping[str, Any]) -> float | None:
    if not trial["gradient_norms"]:
        return None
    norms = dict(zip(trial["layers"], trial["gradient_norms"][0], strict=True))
    # Gates and projections are layers, too, and none of them is called so.
    own = [norm for name, norm in norms.items() if name.rpartition(".")[2].startswith("conv")]
    return own[0] / own[-1] if own[0] is not None and own[-1] else None


class _Alone(ScaledShortcut):
    """A scaled shortcut by which alone, not through the branch, the gradient comes back."""

    def meet(self, x: Tensor, branch: Tensor) -> tuple[Tensor, Tensor]:
        shortcut, living = super().meet(x, branch)
        return shortcut, living.detach()


def _living(seed: int) -> dict[str, dict[str, float]]:
    """Return the gradient before 17 blocks of one shape, of ResNet-110, over that behind them.

    In the first block, and where the shape changes, the shortcut starts behind a norm.
    """
    found: dict[str, dict[str, float]] = {"alone": {}, "whole": {}}
    with random.seeded(seed):
        x, labels = randn(4, 3, 16, 16, dtype="float64"), tensor([0, 1, 2, 3])
    for what, kind in (("alone", _Alone), ("whole", ScaledShortcut)):
        for scale in SCALES:
            model = cifar_resnet(
                2 * _BLOCKS + 2,
                partial(kind, alpha=scale),
                width=4,
                seed=seed,
                order="full_preactivation",
            ).to("float64")
            first, *others = model.layer1
            before = first(model.conv1(x))
            behind = sequential.run(others, before)
            last = model.layer3(model.layer2(behind))
            logits = model.fc(mean(relu(model.bn2(last)), (2, 3)))
            gradients = grad(cross_entropy(logits, labels), [before, behind])
            norms = [float(np.linalg.norm(g.numpy())) for g in gradients if g is not None]
            found[what][str(scale)] = norms[0] / norms[1]
    return found


def _product_error(ratios: Mapping[str, float]) -> float:
    """Return how far a gradient is from the product of 17 shortcuts, the largest of all lambdas."""
    return max(abs(ratios[str(each)] / each**_LIVING_BLOCKS - 1) for each in SCALES)


def _through_shortcuts(scale: float, seed: int) -> list[float]:
    """Return the norm of the gradient behind 0, 1, 2, ... silent blocks, that of none being 1."""
    shortcut = partial(ScaledShortcut, alpha=scale, beta=0.0)
    with random.seeded(seed):
        blocks = [
            nn.BasicBlock(4, 4, shortcut=shortcut, order="full_preactivation").to("float64")
            for _ in range(_BLOCKS)
        ]
        inputs = [randn(2, 4, 4, 4, dtype="float64", requires_grad=True)]
        cotangent = randn(2, 4, 4, 4, dtype="float64")
    for block in blocks:
        inputs.append(block(inputs[-1]))
    gradients = grad(inputs[-1], inputs[::-1], [cotangent])
    norms = [float(np.linalg.norm(g.numpy())) for g in gradients if g is not None]
    return [norm / norms[0] for norm in norms]


EXPERIMENT = _SixShortcuts()
