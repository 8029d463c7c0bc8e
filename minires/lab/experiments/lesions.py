"""Lesions: blocks of a trained residual network deleted, and put in another order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from minires import nn
from minires.data import TensorDataset
from minires.lab.experiment import Claim, Experiment, Scale, ScaleName, Trials
from minires.lab.figures import limit_line, name_curves, panels
from minires.lab.images import Images
from minires.lab.learning import Recipe, learn
from minires.lab.networks import network_for
from minires.lab.pretrained import pretrained
from minires.lab.rules import Above, Below, Every, Given, Measured
from minires.lab.seeds import paired
from minires.lab.surgery import (
    LayerAlone,
    ShortcutAlone,
    blocks_of,
    error_of,
    instead,
    kendall,
    swapped,
)
from minires.models import CifarResNet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minires.lab.theme import Theme

VEIT = "Veit et al. 2016, arXiv 1605.06431"
WHOLE = "error of the pretrained network, whole"
RISE = "rise of the error when one block is deleted, median of those within stages"
MEAN_RISE = "rise of the error when one block is deleted, mean of those within stages"
UNHARMED = "share of all blocks whose deletion raises the error by less than 0.05"
TRANSITIONS = "rise by deleting a block that changes the shape, less the mean of the others"
PLAIN = "share of what it knew that the plain network forgets without a layer, mean of all layers"
APART = "that less the share that its residual twin forgets without a block"
DELETED = "rank correlation of the error with the number of deleted blocks"
REORDERED = "rank correlation of the error with Kendall's tau of the order"
DELETED_STEP = "largest rise from one number of deleted blocks to the next, of the whole rise"
REORDERED_STEP = "largest rise from one number of swaps to the next, of the whole rise"
PRETRAINED = "pretrained"
TWINS = {"plain twin": None, "residual twin": "A"}
_CHANCE = 0.9


@dataclass(frozen=True, kw_only=True)
class _Scale(Scale):
    images: Images  # of the twins that are trained here
    network: str
    count: int  # images that the pretrained network is judged by
    several: tuple[int, ...]  # blocks to delete together
    swaps: tuple[int, ...]
    draws: int  # of the blocks that are deleted together, or swapped; their errors are averaged
    depth: int
    width: int
    recipe: Recipe


class _Lesions(Experiment):
    """A pretrained network, and twins that are trained here, with parts taken out."""

    name = "lesions"
    title = "A residual network survives without a block, a plain one does not without a layer"
    about = (
        "Blocks of a residual network that others trained are deleted: the shortcut alone remains."
        " One at a time, several at once, and blocks of equal shape are swapped. The images are"
        " original CIFAR-10 *training* images, which this network has learned from, and gets right:"
        " only changes of the error mean something. It is one network: seeds are other images and"
        " other blocks. What several deletions or swaps do is the mean of some random choices of"
        " blocks; it is smooth if no step to the next number makes half of the whole rise, which a"
        " few choices may miss by chance. A plain network and its residual twin are trained here,"
        " and lose a layer, or a block, at a time."
    )
    caption = (
        "Left: error after deleting one block of the pretrained network (filled: it changes the"
        " shape), and one layer of the plain twin, in the form of figure 3 of Veit et al. 2016."
        " Middle and right: several deletions, and swaps, in the form of figure 5; for each seed, a"
        " dot is the mean of some choices of blocks."
    )
    claims = (
        Claim(
            "Deleting one block of a residual network hardly changes its error.",
            f"{VEIT}, section 4.1 and figure 3",
            "curves only",
            Given(
                Below(WHOLE, 0.5),
                Every(Below(RISE, 0.05, otherwise=0.2), Below(MEAN_RISE, 0.05, otherwise=0.2)),
            ),
        ),
        Claim(
            "Deleting a block where the shape changes does more.",
            f"{VEIT}, section 4.1",
            "curves only",
            Above(TRANSITIONS),
        ),
        Claim(
            "Deleting one layer of a plain network leaves it guessing; a block of its residual twin"
            " does not.",
            f"{VEIT}, section 4.1 and figure 3 (VGG)",
            "chance: 90 %",
            Every(Above(PLAIN, 0.7, otherwise=0.5), Above(APART, 0.1, otherwise=0.0)),
        ),
        Claim(
            "The more blocks are deleted, or the more their order is disturbed, the larger the"
            " error: it grows smoothly.",
            f"{VEIT}, sections 4.2 and 4.3, figure 5",
            "curves only",
            Every(
                Above(DELETED, 0.7, otherwise=0.0),
                Below(REORDERED, -0.5, otherwise=0.0),
                Below(DELETED_STEP, 0.5),
                Below(REORDERED_STEP, 0.5),
            ),
            # A few choices of blocks leap where many are smooth; so do a few images.
            shows_at="paper",
        ),
    )
    scales: ClassVar[dict[ScaleName, _Scale]] = {
        "tiny": _Scale(
            seconds=8,
            images=Images("digits", train=200, test=100),
            network="cifar_resnet20_digits",
            count=50,
            several=(1, 3),
            swaps=(1, 4),
            draws=1,
            depth=8,
            width=4,
            recipe=Recipe(2),
        ),
        "small": _Scale(
            seconds=160,
            images=Images(train=3200, test=400, side=16),
            network="cifar_resnet56",
            count=150,
            several=(1, 2, 4, 6, 8, 10, 12, 15, 18),
            swaps=(1, 2, 4, 6, 8, 12, 16),
            draws=3,
            depth=14,
            width=8,
            recipe=Recipe(10, learning_rate=0.05, measure_every=10),
        ),
        "paper": _Scale(
            seconds=4e5,
            images=Images("cifar10"),
            network="cifar_resnet56",
            count=10_000,
            several=tuple(range(1, 21)),
            swaps=tuple(range(1, 29)),
            draws=20,
            depth=20,
            width=16,
            recipe=Recipe(60, 128, augment=True, measure_every=60),
        ),
    }

    def conditions(self, scale: _Scale) -> Sequence[str]:
        return [PRETRAINED, *TWINS]

    def given(self, scale: _Scale) -> Any:
        return pretrained(scale.network, scale.count, seed=0).about

    def run(self, condition: str, scale: _Scale, seed: int, device: str) -> dict[str, Any]:
        if condition == PRETRAINED:
            model, images, about = pretrained(scale.network, scale.count, seed)
            return {**_operated(model.to(device), images, scale, seed), "images": about}
        split = scale.images.read()
        network = network_for(split, scale.depth, scale.width, seed, TWINS[condition])
        record = learn(network, split, scale.recipe, seed=seed, device=device).record()
        network.eval()
        lost = []
        blocks = blocks_of(network)
        for number, (_, _, block) in enumerate(blocks):
            for rest in _remains(block, condition):
                with instead(blocks, {number: rest}):
                    lost.append(error_of(network, split.test))
        return {"whole": record["final_test_error"], "lost": lost}

    def measure(self, trials: Trials, scale: _Scale) -> Measured:
        given, plain, residual = (trials[name] for name in self.conditions(scale))
        means = {name: [_forgotten(trial) for trial in trials[name]] for name in TWINS}
        rises = [[_rises(trial, changes) for changes in (False, True)] for trial in given]
        return {
            WHOLE: [trial["whole"] for trial in given],
            "error of the plain twin, whole": [trial["whole"] for trial in plain],
            "error of the residual twin, whole": [trial["whole"] for trial in residual],
            RISE: [median(within) for within, _ in rises],
            MEAN_RISE: [fmean(within) for within, _ in rises],
            UNHARMED: [
                fmean(rise < 0.05 for rise in within + changing) for within, changing in rises
            ],
            TRANSITIONS: [fmean(changing) - fmean(within) for within, changing in rises],
            PLAIN: means["plain twin"],
            APART: paired(means["plain twin"], means["residual twin"]),
            DELETED: [_rank_correlation(trial["several"]) for trial in given],
            REORDERED: [_rank_correlation(trial["reordered"]) for trial in given],
            DELETED_STEP: [_largest_step(trial["whole"], trial["several"]) for trial in given],
            REORDERED_STEP: [_largest_step(trial["whole"], trial["reordered"]) for trial in given],
        }

    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        figure, (one, several, order) = panels(theme, 3, sharey=True)
        given, plain = trials[PRETRAINED], trials["plain twin"]
        for number, (seeds, name) in enumerate(
            ((given, "pretrained residual network"), (plain, "plain twin, trained here"))
        ):
            means = [
                100 * fmean(errors) for errors in zip(*(t["lost"] for t in seeds), strict=True)
            ]
            places = [(place + 0.5) / len(means) for place in range(len(means))]
            colour, marker = theme.colour(number), "os"[number]
            changes = seeds[0].get("changes", [True] * len(means))
            for change in (False, True):
                chosen = [i for i, each in enumerate(changes) if each is change]
                one.plot(
                    [places[i] for i in chosen],
                    [means[i] for i in chosen],
                    marker,
                    color=colour,
                    markerfacecolor=colour if change else theme.ground,
                    label=name if change else None,
                )
        one.set_xlabel("place of what is deleted, from input (0) to output (1)")
        one.set_ylabel("error, %")
        limit_line(one, 100 * _CHANCE, "chance", theme)
        name_curves(one, theme, loc="center right")
        for ax, key, label in (
            (several, "several", "blocks deleted"),
            (order, "reordered", "Kendall's tau of the order of blocks"),
        ):
            for trial in given:
                found, errors = zip(*trial[key], strict=True)
                ax.plot(found, [100 * e for e in errors], "o", markersize=4, color=theme.colour(0))
            limit_line(ax, 100 * _CHANCE, "", theme)
            ax.set_xlabel(label)
        several.locator_params(axis="x", integer=True)
        order.invert_xaxis()
        one.set_ylim(-2, 102)
        return figure


def _operated(
    model: CifarResNet, images: TensorDataset, scale: _Scale, seed: int
) -> dict[str, Any]:
    """Return the errors of a network with one block deleted, with several, and reordered."""
    blocks = blocks_of(model)
    changes = [not isinstance(block.downsample, nn.Identity) for _, _, block in blocks]
    within = [i for i, change in enumerate(changes) if not change]
    generator = np.random.default_rng(seed)

    def error(replaced: Mapping[int, nn.Module]) -> float:
        with instead(blocks, replaced):
            return error_of(model, images)

    several, reordered = [], []
    for number in scale.several:
        choices = [
            generator.choice(within, min(number, len(within)), replace=False)
            for _ in range(scale.draws)
        ]
        errors = [error({i: ShortcutAlone(blocks[i][2]) for i in chosen}) for chosen in choices]
        several.append((number, fmean(errors)))
    for number in scale.swaps:
        orders = [swapped(blocks, within, number, generator) for _ in range(scale.draws)]
        errors = [
            error({i: blocks[j][2] for i, j in enumerate(order) if i != j}) for order in orders
        ]
        reordered.append((fmean(map(kendall, orders)), fmean(errors)))
    return {
        "whole": error({}),
        "lost": [error({i: ShortcutAlone(block)}) for i, (_, _, block) in enumerate(blocks)],
        "changes": changes,
        "several": several,
        "reordered": reordered,
    }


def _remains(block: nn.ResidualBlock, condition: str) -> Sequence[nn.Module]:
    """Return what is left of a block without its branch, or of a plain block without a layer."""
    if condition == "residual twin":
        return [ShortcutAlone(block)]
    keeps_shape = block.conv1.in_channels == block.conv1.out_channels and block.conv1.stride[0] == 1
    return [LayerAlone(block, 1)] + [LayerAlone(block, 2)] * keeps_shape


def _rises(trial: Mapping[str, Any], changes: bool) -> list[float]:
    """Return by how much deleting each block raised the error, of those that change the shape."""
    pairs = zip(trial["lost"], trial["changes"], strict=True)
    return [error - trial["whole"] for error, change in pairs if change is changes]


def _forgotten(trial: Mapping[str, Any]) -> float | None:
    """Return the share of what a network knew beyond guessing that it forgets, on average."""
    knew = _CHANCE - trial["whole"]
    return (fmean(trial["lost"]) - trial["whole"]) / knew if knew > 0.05 else None


def _rank_correlation(points: Sequence[Sequence[float]]) -> float:
    """Return Spearman's correlation of pairs; equal values share their rank."""
    from scipy.stats import rankdata

    ranks = [rankdata(values) for values in zip(*points, strict=True)]
    if any(each.std() == 0 for each in ranks):
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def _largest_step(whole: float, points: Sequence[Sequence[float]]) -> float | None:
    """Return the largest rise of the error from one point to the next, over the whole rise."""
    errors = [whole, *(error for _, error in points)]
    rise = max(errors) - whole
    return max(after - before for before, after in pairwise(errors)) / rise if rise > 0 else None


EXPERIMENT = _Lesions()
