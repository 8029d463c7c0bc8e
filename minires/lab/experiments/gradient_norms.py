"""Gradient norms, layer by layer: at the first step of all, and along training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from minires.autograd import Tensor
from minires.data import Split
from minires.lab.experiment import Claim, Experiment, Scale, ScaleName, Trials
from minires.lab.figures import MARKERS, name_curves, panels, spread
from minires.lab.images import Images
from minires.lab.learning import PUBLISHED, Learned, Recipe, learn
from minires.lab.networks import gained
from minires.lab.rules import Above, Below, Every, Given, Measured, Within
from minires.lab.seeds import paired
from minires.models import cifar_resnet
from minires.models.cifar import CifarResNet
from minires.ops import cross_entropy, tensor
from minires.trace import record
from minires.training.gradient_norms import norm

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from minires.lab.theme import Theme

HE2015 = "He et al. 2015, arXiv 1512.03385, section 4.1"
YANG = "Yang et al. 2019, arXiv 1902.08129"
RATIO = "gradient norm of the first convolution over the last one's"
DEEPER = f"{RATIO}, at the first step: the deepest plain network's over the shallowest's"
TWINS = f"{RATIO}, at the first step: the deepest plain network's over its residual twin's"
FIRST = f"{RATIO}, at the first step, in the deepest plain network with BN"
LEAST = f"{RATIO}, in plain networks with BN: the least of all steps"
TRAINED = f"{RATIO}, in the trained plain network: median of the last epoch"
TRAINED_TWIN = f"{RATIO}, in its residual twin: median of the last epoch"
HEALTHY = "that of the trained plain network over that of its residual twin"
AFTER = "gradient norm of the first convolution after five steps, plain over its residual twin"
SETTLED = "gradient norm of plain's first convolution after five steps over that at the first"
KNOWS = "what the plain network has learned: error of guessing less its training error"
GAP = "training error of the plain network less that of its residual twin"
DOUBLING = "variance of the gradient at a block's input over that at its output, without BN"
WITH_BN = "variance of the gradient at a block's input over that at its output, with BN"
DIVERGED = "residual network without BN diverged (1) or did not (0)"

# To vanish is to lose a constant part at each layer, as 0.9 to the power of 54 is 0.003: less than
# tenfold over all layers is no vanishing, more than a hundredfold is one.
NOT_VANISHING = Every(
    Above(FIRST, 0.1, otherwise=0.01),
    Given(Above(KNOWS, 0.1), Above(TRAINED, 0.1, otherwise=0.01)),
)

# What minires measured for the audit of claims, item A2: digits at 16x16, width 16, float64.
_AUDIT = {"plain": {20: 7.5, 56: 3e3, 110: 3e6}, "residual": {20: 2.4, 56: 7.5, 110: 20.0}}
# The gradient's size behind so many residual blocks of linear layers of width 200, without BN.
_LINEAR = {2: 1.6, 10: 27.0, 24: 3.3e3, 50: 4.9e7}
_SHORTCUTS = {"plain": None, "residual": "A"}
_NORMS = {"without BN": "none", "with BN": "batch"}
_ORDER = "full_preactivation"  # of the blocks that variance doubles in
_AFTER = 5  # steps
_KEPT = 24  # steps of a training whose norms are drawn
_COLOURS = 1e-4, 1e3  # gradient norms at the ends of the scale


@dataclass(frozen=True, kw_only=True)
class _Scale(Scale):
    images: Images
    batch: int  # images of the first step
    depths: tuple[int, ...]  # at the first step
    width: int
    trained_depth: int
    trained_width: int
    recipe: Recipe
    without: Recipe  # for networks without BN


class _GradientNorms(Experiment):
    """Gradients of plain and residual networks, with and without BN."""

    name = "gradient-norms"
    title = "What batch norm does to gradients, at first and along training"
    about = (
        "The norm of each layer's gradient in plain networks and their residual twins, with and"
        " without batch normalisation: at the first step, in float64 and for several depths; and"
        " at every step of a training."
    )
    caption = (
        "Left, above: first over last convolution's gradient at the first step, by depth; below:"
        " the gradient on its way from the last residual block to the first. Crosses: numbers of"
        " other networks, which the claims name. Right: by layer and step, in one training of each"
        " network; nothing is drawn where a number is not finite."
    )
    claims = (
        Claim(
            "At initialisation the gradients of plain networks with BN explode with depth; those of"
            " residual networks hardly grow. He et al. 2015 do not mention it.",
            YANG,
            "first over last convolution at 20, 56 and 110 layers, measured for the audit (A2) in"
            " float64, on digits at 16x16, width 16: plain 7.5, 3e3, 3e6; residual 2.4, 7.5, 20",
            Every(Above(DEEPER, 10.0, 1.0), Above(TWINS, 10.0, 1.0)),
        ),
        Claim(
            "With BN the gradients of plain networks do not vanish.",
            HE2015,
            "no number: they argue that this is unlikely to be the cause of degradation",
            NOT_VANISHING,
            shows_at="paper",
        ),
        Claim(
            "Along training they have healthy norms.",
            HE2015,
            "no number",
            Given(Above(KNOWS, 0.1), Every(Within(TRAINED, 0.1, 10.0), Within(HEALTHY, 0.1, 10.0))),
            shows_at="paper",
        ),
        Claim(
            "The explosion at initialisation settles within a few steps.",
            "the audit of claims, A2",
            "plain-56, measured for the audit: from 540 to 0.04 in five steps at learning rate 0.1",
            Every(Below(SETTLED, 0.1, 1.0), Below(AFTER, 10.0)),
        ),
        Claim(
            "The gradient does not vanish, and yet the plain network trains worse.",
            HE2015,
            "training error in one reproduction: plain-56 5.24 %, ResNet-56 0.18 %",
            Every(NOT_VANISHING, Above(GAP)),
            shows_at="paper",
        ),
        Claim(
            "Residual networks without BN or scaling explode: the variance doubles at each block.",
            "De and Smith 2020, arXiv 2002.10444",
            "gradient size 3.3e3 after 24 blocks and 4.9e7 after 50 (measured before, of linear"
            " layers of width 200)",
            Every(Within(DOUBLING, 1.5, 2.7), Below(WITH_BN, 1.5, 1.5)),
        ),
    )
    scales: ClassVar[dict[ScaleName, _Scale]] = {
        "tiny": _Scale(
            seconds=3,
            images=Images("digits", train=200, test=100),
            batch=16,
            depths=(8, 20),
            width=4,
            trained_depth=8,
            trained_width=4,
            recipe=Recipe(2, norms_every=1),
            without=Recipe(1, norms_every=1),
        ),
        "small": _Scale(
            seconds=210,
            images=Images(train=3200, test=800, side=16),
            batch=64,
            depths=(20, 56, 110),
            width=16,
            trained_depth=56,
            trained_width=8,
            recipe=Recipe(6, 32, learning_rate=0.05, measure_every=6, norms_every=1),
            without=Recipe(1, norms_every=1),
        ),
        "paper": _Scale(
            seconds=8e5,
            images=Images("cifar10"),
            batch=128,
            depths=(20, 56, 110),
            width=16,
            trained_depth=56,
            trained_width=16,
            recipe=replace(PUBLISHED, norms_every=1),
            without=Recipe(1, 128, norms_every=1),
        ),
    }

    def conditions(self, scale: _Scale) -> Sequence[str]:
        first = [f"first step, {kind}-{depth}" for kind in _AUDIT for depth in scale.depths]
        blocks = [f"blocks, {bn}" for bn in _NORMS]
        return [*first, *blocks, *(f"training, {kind} {bn}" for bn in _NORMS for kind in _AUDIT)]

    def run(self, condition: str, scale: _Scale, seed: int, device: str) -> dict[str, Any]:
        split = scale.images.read()
        make = partial(
            cifar_resnet, in_channels=split.channels, num_classes=split.classes, seed=seed
        )
        what, _, which = condition.partition(", ")
        if what == "first step":
            kind, depth = which.split("-")
            model = make(int(depth), _SHORTCUTS[kind], scale.width)
            return _first_step(model, split, scale.batch, device)
        if what == "blocks":
            model = make(max(scale.depths), "A", scale.width, order=_ORDER, norm=_NORMS[which])
            return _growth(model, split, scale.batch, device)
        kind, _, bn = which.partition(" ")
        shortcut, width = _SHORTCUTS[kind], scale.trained_width
        model = make(scale.trained_depth, shortcut, width, norm=_NORMS[bn])
        recipe = scale.recipe if bn == "with BN" else scale.without
        return _along(learn(model, split, recipe, seed=seed, device=device))

    def measure(self, trials: Trials, scale: _Scale) -> Measured:
        ratios = {
            (kind, depth): [trial["ratio"] for trial in trials[f"first step, {kind}-{depth}"]]
            for kind in _AUDIT
            for depth in scale.depths
        }
        shallow, deep = min(scale.depths), max(scale.depths)
        plain, residual = (trials[f"training, {kind} with BN"] for kind in _AUDIT)
        least = [
            _least([trial["least"], *(ratios["plain", depth][seed] for depth in scale.depths)])
            for seed, trial in enumerate(plain)
        ]
        gains = {bn: [trial["gain"] for trial in trials[f"blocks, {bn}"]] for bn in _NORMS}
        exploded = trials["training, residual without BN"]
        errors = [[trial["error"] for trial in seeds] for seeds in (plain, residual)]
        return {
            **{f"{RATIO}, {kind}-{depth}": each for (kind, depth), each in ratios.items()},
            DEEPER: _over(ratios["plain", deep], ratios["plain", shallow]),
            TWINS: _over(ratios["plain", deep], ratios["residual", deep]),
            FIRST: ratios["plain", deep],
            LEAST: least,
            TRAINED: [_last_epoch(trial) for trial in plain],
            TRAINED_TWIN: [_last_epoch(trial) for trial in residual],
            HEALTHY: [
                _ratio(_last_epoch(one), _last_epoch(other))
                for one, other in zip(plain, residual, strict=True)
            ],
            AFTER: [
                _ratio(one["after"], other["after"])
                for one, other in zip(plain, residual, strict=True)
            ],
            SETTLED: [trial["settled"] for trial in plain],
            KNOWS: gained(errors[0]),
            GAP: paired(*errors),
            DOUBLING: gains["without BN"],
            WITH_BN: gains["with BN"],
            DIVERGED: [float(trial["diverged"]) for trial in exploded],
        }

    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        figure, axes = panels(theme, 3, rows=2, height=3.2, width=4.2)
        first, plain, residual, back, plain_without, residual_without = axes
        _draw_ratios(first, trials, theme)
        _draw_growth(back, trials, theme)
        maps = {"with BN": (plain, residual), "without BN": (plain_without, residual_without)}
        for bn, pair in maps.items():
            runs = {f"{kind} {bn}": trials[f"training, {kind} {bn}"][0] for kind in _AUDIT}
            last = max((step for run in runs.values() for step in run["steps"]), default=1)
            for ax, (name, run) in zip(pair, runs.items(), strict=True):
                ax.set_title(name, **_title(theme))
                _heat_map(ax, run, last, theme)
        _colour_bar(figure, [plain, residual, plain_without, residual_without], theme)
        return figure


def _loss(model: CifarResNet, split: Split, count: int, device: str) -> Tensor:
    """Return the loss of the first images, in float64: nothing over- or underflows."""
    images, labels = split.train.take(range(count))
    model.to("float64").to(device)
    logits = model(tensor(images.astype(np.float64), device=device))
    return cross_entropy(logits, labels)


def _first_step(model: CifarResNet, split: Split, count: int, device: str) -> dict[str, Any]:
    _loss(model, split, count, device).backward()
    convolutions = [weight for weight in model.parameters() if weight.ndim == 4]
    first, last = (_size(convolutions[layer]) for layer in (0, -1))
    return {"ratio": _rounded(first / last), "first": _rounded(first)}


def _size(weight: Tensor) -> float:
    assert weight.grad is not None
    return norm(weight.grad.to("cpu").numpy())


def _growth(model: CifarResNet, split: Split, count: int, device: str) -> dict[str, Any]:
    """Follow the gradient from the last block to the first; see by what each multiplies it."""
    with record(model, replay=False) as step:
        _loss(model, split, count, device).backward()
    blocks = [gain.log_gain for gain in step.gains() if gain.block.startswith("layer")]
    sizes = [_rounded(math.exp(log)) for log in np.cumsum(blocks)]
    return {"sizes": sizes, "gain": _rounded(math.exp(2 * sum(blocks) / len(blocks)))}


def _along(learned: Learned) -> dict[str, Any]:
    """Keep some of the gradient norms of a training, more of its beginning than of its end."""
    error, diverged = learned.record()["final_train_error"], bool(learned.diverged)
    steps = len(learned.gradient_norms)
    if not steps:
        nothing: dict[str, Any] = {"steps": [], "norms": [], "epochs": [], "settled": None}
        nothing |= {"least": None, "after": None}
        return {**nothing, "error": error, "diverged": diverged}
    *convolutions, _ = np.asarray(learned.gradient_norms).T  # the last layer is the classifier
    kept = sorted({round(step) - 1 for step in np.geomspace(1, steps, _KEPT)})
    first, last = convolutions[0], convolutions[-1]
    with np.errstate(all="ignore"):
        ratios = first / last
    begins = range(0, steps, learned.steps_per_epoch)
    epochs = [median(ratios[begin : begin + learned.steps_per_epoch]) for begin in begins]
    return {
        "steps": [step + 1 for step in kept],
        "norms": [[_rounded(layer[step]) for layer in convolutions] for step in kept],
        "epochs": [_rounded(ratio) for ratio in epochs],
        "least": _rounded(ratios.min()),
        "after": _rounded(first[min(_AFTER, steps - 1)]),
        "settled": _rounded(first[min(_AFTER, steps - 1)] / first[0]),
        "error": error,
        "diverged": diverged,
    }


def _last_epoch(trial: Mapping[str, Any]) -> float | None:
    """Return the ratio of a trained network; None of one that diverged."""
    epochs = trial["epochs"]
    return None if trial["diverged"] or not epochs else epochs[-1]


def _least(values: Sequence[float | None]) -> float | None:
    """Return the least of some numbers; None if one of them is missing."""
    found = [value for value in values if value is not None]
    return min(found) if len(found) == len(values) else None


def _ratio(one: float | None, other: float | None) -> float | None:
    return None if one is None or not other else one / other


def _over(ones: Sequence[float], others: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(ones, others, strict=True)]


def _rounded(value: Any) -> float | None:
    """Keep three digits; what is not finite, such as the norms of a run that diverges, is None."""
    return float(f"{value:.3g}") if math.isfinite(value) else None


def _draw_ratios(ax: Axes, trials: Trials, theme: Theme) -> None:
    for number, (kind, audited) in enumerate(reversed(_AUDIT.items())):
        start = f"first step, {kind}-"
        found = {int(n.removeprefix(start)): s for n, s in trials.items() if n.startswith(start)}
        curves = [
            [trial["ratio"] for trial in seeds] for seeds in zip(*found.values(), strict=True)
        ]
        spread(ax, list(found), curves, kind, number, theme, marker=MARKERS[number])
        known = {depth: ratio for depth, ratio in audited.items() if depth in found}
        label = "digits, width 16" if number == 1 else None
        ax.plot(list(known), list(known.values()), "x", color=theme.ink, markersize=7, label=label)
    ax.set_yscale("log")
    ax.set_xlabel("layers")
    ax.set_ylabel("first over last convolution")
    ax.set_title("At the first step, with BN", **_title(theme))
    name_curves(ax, theme)


def _draw_growth(ax: Axes, trials: Trials, theme: Theme) -> None:
    for number, bn in enumerate(_NORMS):
        curves = [trial["sizes"] for trial in trials[f"blocks, {bn}"]]
        spread(ax, range(1, len(curves[0]) + 1), curves, bn, number, theme)
    blocks = range(1, len(curves[0]) + 1)
    doubled = [2 ** (block / 2) for block in blocks]
    ax.plot(
        blocks, doubled, color=theme.ink, linewidth=0.9, linestyle=(0, (1, 2)), label="doubling"
    )
    known = {block: size for block, size in _LINEAR.items() if block in blocks}
    ax.plot(
        list(known), list(known.values()), "x", color=theme.ink, markersize=7, label="linear layers"
    )
    ax.set_yscale("log")
    ax.set_xlabel("residual blocks on the way back")
    ax.set_ylabel("gradient norm, times")
    ax.set_title("On the way back, at the first step", **_title(theme))
    name_curves(ax, theme)


def _title(theme: Theme) -> dict[str, Any]:
    return {"color": theme.ink, "fontsize": 10.5, "loc": "left", "fontweight": "bold"}


def _heat_map(ax: Axes, run: Mapping[str, Any], last: int, theme: Theme) -> None:
    """Draw gradient norms: layers from the input down, steps to the right, up to the last."""
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import NullFormatter

    if run["steps"]:
        norms = np.ma.masked_invalid(np.array(run["norms"], float).T)
        # The cell of a step reaches to the next that was kept.
        edges = [*run["steps"], run["steps"][-1] * 1.1 + 1]
        ax.pcolormesh(edges, range(len(norms) + 1), norms, norm=LogNorm(*_COLOURS))
        ax.set_ylim(len(norms), 0)
    if run["diverged"]:
        ax.text(0.5, 0.5, "diverged", transform=ax.transAxes, color=theme.ink)
    ax.set_xscale("log")
    ax.set_xlim(1, last + 1)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("step")
    ax.set_ylabel("convolution, input on top")
    ax.grid(False)


def _colour_bar(figure: Figure, axes: Sequence[Axes], theme: Theme) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm

    bar = figure.colorbar(ScalarMappable(LogNorm(*_COLOURS)), ax=axes, extend="both", aspect=40)
    bar.set_label("gradient norm", color=theme.ink)
    bar.ax.tick_params(colors=theme.ink, which="both")
    bar.outline.set_visible(False)


EXPERIMENT = _GradientNorms()
