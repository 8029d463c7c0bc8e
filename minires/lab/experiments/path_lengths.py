"""Path lengths: of the 2^n ways through a residual network, the gradient takes the short ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from minires.lab.experiment import Claim, Experiment, Scale, ScaleName, Trials
from minires.lab.figures import name_curves, panels, spread
from minires.lab.images import Images
from minires.lab.learning import PUBLISHED_110, Recipe, learn
from minires.lab.networks import gained, network_for
from minires.lab.path_gradients import Gate, GatedBatch
from minires.lab.rules import Above, Below, Equal, Every, Given, Measured, Within
from minires.ops import tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minires.lab.theme import Theme

VEIT = "Veit et al. 2016, arXiv 1605.06431"
BINOMIAL = "path counts of the trace are the binomial coefficients"
MIDDLE = "share of the paths of 54 blocks that cross 19 to 35 of them"
EFFECTIVE = "share of the paths of 54 blocks that cross 5 to 17 of them"
FORKS = "forks whose parts do not add up to the gradient, bit for bit"
ERROR = "largest error of the sum of all parts, over their size"
BY_BRANCH = "share of a block's gradient that comes through its branch, mean of the blocks"
SHORT = "share of the gradient in paths through 5 to 17 of 54 blocks, or as large a part"
MEAN = "mean length of the gradient's paths over the number of blocks"
COUNTED = "norm of one path times number of paths"
KNOWS = "what the trained network has learned: error of guessing less its training error"
DECAY = "a path's gradient over that of a path one block shorter"
STRAIGHT = "share of its logarithm's variance that a straight line explains"

_EFFECTIVE = 5, 17  # of ResNet-110's 54 blocks


@dataclass(frozen=True, kw_only=True)
class _Scale(Scale):
    images: Images
    depth: int
    width: int
    recipe: Recipe
    batch: int
    step: int  # every so many-th length is sampled,
    samples: int  # by so many paths


class _PathLengths(Experiment):
    """The gradient at a residual network's first block, by the length of its paths."""

    name = "path-lengths"
    title = "The gradient comes by short paths"
    about = (
        "A residual network of n blocks is a sum of 2^n paths: at each block around it, or through"
        " its branch. Its gradient is split exactly, by the number of branches that it crossed; and"
        " as in the paper single paths of each length are drawn at random, and only they let the"
        " gradient pass. Before training, and after."
    )
    caption = (
        "In the form of figure 6 of Veit et al. 2016: how many paths have each length; the"
        " gradient that a single path carries, the mean of those drawn; and their product, the"
        " gradient of all paths of a length by their norms. Beside it, exactly, what they give to"
        " the whole gradient: the projection of their sum on it, over its square. These shares add"
        " up to 1; the norms do not, for paths of one length point in many directions, and much of"
        " them cancels. Lower right, the gradient of each block's input: what does not come through"
        " the branch comes by the shortcut."
    )
    claims = (
        Claim(
            "There are 2^n paths, and their lengths are binomially distributed: nearly all cross"
            " about half of the blocks.",
            f"{VEIT}, figure 6a",
            "54 blocks: more than 95 % of the paths cross 19 to 35 of them (computed: 98.0 %); 5 to"
            " 17 are crossed by 0.45 % (computed: 0.4537 %)",
            Every(Equal(BINOMIAL), Above(MIDDLE, 0.95), Within(EFFECTIVE, 0.0045, 0.0046)),
        ),
        Claim(
            "At every block the gradient is the sum of what came around it and what came through"
            " it, and so at the first block that of all paths.",
            f"{VEIT}; the chain rule",
            "",
            Every(Equal(FORKS, 0), Below(ERROR, 1e-5)),
        ),
        Claim(
            "The gradient that a path carries falls exponentially with its length.",
            f"{VEIT}, figure 6b",
            "a straight line on a logarithmic axis, in the figure alone",
            Given(
                Above(KNOWS, 0.1),
                Every(Below(f"{DECAY}, trained", 1.0), Above(f"{STRAIGHT}, trained", 0.9, 0.5)),
            ),
        ),
        Claim(
            "Almost all gradient of a trained network comes by short paths: 5 to 17 of 54 blocks.",
            f"{VEIT}, figure 6c",
            "ResNet-110: from paths through 5 to 17 of 54 blocks, by the norm of one path times the"
            " number of paths; a centre of 11 means that a block scales the gradient by 0.26 of"
            " what its shortcut does (computed)",
            Given(
                Above(KNOWS, 0.1),
                Every(Above(f"{SHORT}, trained", 0.9, 0.5), Below(f"{MEAN}, trained", 0.35, 0.45)),
            ),
            shows_at="paper",
        ),
    )
    scales: ClassVar[dict[ScaleName, _Scale]] = {
        "tiny": _Scale(
            seconds=3,
            images=Images("digits", train=200, test=100),
            depth=20,
            width=4,
            recipe=Recipe(1),
            batch=8,
            step=3,
            samples=2,
        ),
        "small": _Scale(
            seconds=170,
            # So few that some hundred steps are enough to learn them.
            images=Images(train=800, test=400, side=16),
            depth=110,
            width=4,
            recipe=Recipe(22, batch_size=32, learning_rate=0.05, measure_every=22),
            batch=16,
            step=3,
            samples=5,
        ),
        "paper": _Scale(
            seconds=1e6,
            images=Images("cifar10"),
            depth=110,
            width=16,
            recipe=PUBLISHED_110,
            batch=128,
            step=1,
            samples=50,
        ),
    }

    def conditions(self, scale: _Scale) -> Sequence[str]:
        return ["initial", "trained"]

    def run(self, condition: str, scale: _Scale, seed: int, device: str) -> dict[str, Any]:
        split = scale.images.read()
        model = network_for(split, scale.depth, scale.width, seed, Gate).to(device)
        error = None
        if condition == "trained":
            run = learn(model, split, scale.recipe, seed=seed, device=device)
            if run.diverged:  # no gradient is left to take apart
                return {"diverged": run.diverged}
            error = run.final_train_error
        images, labels = split.train.take(range(scale.batch))
        x = tensor(images, device=device, requires_grad=True)
        batch = GatedBatch(model.train(), x, labels)
        sampled = batch.sample(scale.step, scale.samples, np.random.default_rng(seed))
        return {"train_error": error, **batch.split(), **sampled}

    def measure(self, trials: Trials, scale: _Scale) -> Measured:
        found: dict[str, Any] = {}
        whole = {
            condition: [trial for trial in seeds if "diverged" not in trial]
            for condition, seeds in trials.items()
        }
        every = [trial for seeds in whole.values() for trial in seeds]
        paths = [math.comb(54, length) for length in range(55)]
        found[BINOMIAL] = all(trial["binomial"] for trial in every)
        found[MIDDLE] = sum(paths[19:36]) / 2**54
        found[EFFECTIVE] = sum(paths[5:18]) / 2**54
        found[FORKS] = sum(trial["inexact_forks"] for trial in every)
        found[ERROR] = max(trial["error"] for trial in every)
        errors = [trial.get("train_error") for trial in trials["trained"]]
        found["training error, trained"], found[KNOWS] = errors, gained(errors)
        for condition, seeds in trials.items():
            numbers = [_numbers(trial) for trial in seeds]
            for name in _QUANTITIES:
                found[f"{name}, {condition}"] = [each.get(name) for each in numbers]
        return found

    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        figure, axes = panels(theme, 2, rows=2, height=3.1)
        counts, per_path, total, parts = axes
        trials = {
            condition: [trial for trial in seeds if "diverged" not in trial]
            for condition, seeds in trials.items()
        }
        blocks = len(trials["initial"][0]["by_branch"])
        lengths = range(blocks + 1)
        counts.plot(lengths, _shares([math.comb(blocks, k) for k in lengths]), color=theme.ink)
        for number, (condition, seeds) in enumerate(trials.items()):
            if not seeds:
                continue
            norms = [[norm or math.nan for norm in trial["norms"]] for trial in seeds]
            spread(per_path, seeds[0]["lengths"], norms, condition, number, theme)
            shares = [trial["shares"] for trial in seeds]
            spread(total, lengths, shares, f"{condition}, projected", number, theme)
            through = [[100 * share for share in trial["by_branch"]] for trial in seeds]
            spread(parts, range(1, blocks + 1), through, condition, number, theme)
        if trials["trained"]:
            counted = [gradient_by_length(trial) for trial in trials["trained"]]
            spread(total, lengths, counted, "trained, norm times number", 2, theme)
        per_path.set_yscale("log")
        if blocks == 54:
            low, high = _EFFECTIVE
            total.axvspan(low, high, color=theme.faint, alpha=0.6, label="in the paper, trained")
        for ax, title, y in (
            (counts, "How many paths there are", "share of all paths"),
            (per_path, "What one path carries", "gradient norm at the images"),
            (total, "What all paths of a length carry", "share of the gradient"),
            (parts, "What comes through a block's branch", "share of its gradient, %"),
        ):
            ax.set_title(title, color=theme.ink, fontsize=10.5, loc="left", fontweight="bold")
            ax.set_ylabel(y)
            ax.set_xlabel("path length: branches crossed")
            ax.set_xlim(0, blocks)
        parts.set_xlabel("block, from the input on")
        name_curves(per_path, theme)
        total.set_ylim(top=1.35 * total.get_ylim()[1])  # room for the names
        name_curves(total, theme)
        name_curves(parts, theme, loc="upper center")
        return figure


def gradient_by_length(trial: Mapping[str, Any]) -> list[float]:
    """Return which share of all paths' gradient norms the paths of each length have.

    Between the lengths that were sampled, the logarithm of the norm is interpolated.
    """
    blocks = len(trial["shares"]) - 1
    smooth = np.interp(range(blocks + 1), *_logs(trial["lengths"], trial["norms"]))
    return _shares([math.comb(blocks, k) * math.exp(log) for k, log in enumerate(smooth)])


_QUANTITIES = (DECAY, STRAIGHT, BY_BRANCH, SHORT, MEAN, f"{SHORT}, {COUNTED}", f"{MEAN}, {COUNTED}")


def _numbers(trial: Mapping[str, Any]) -> dict[str, float]:
    """Return the quantities of one network; none where it diverged."""
    if "diverged" in trial:
        return {}
    projected, counted = trial["shares"], gradient_by_length(trial)
    values = (
        *_line(trial["lengths"], trial["norms"]),
        float(np.mean(trial["by_branch"])),
        *(_short(projected), _mean(projected)),
        *(_short(counted), _mean(counted)),
    )
    return dict(zip(_QUANTITIES, values, strict=True))


def _logs(lengths: Sequence[int], norms: Sequence[float]) -> tuple[list[int], list[float]]:
    """Return the lengths whose paths carry something, and the logarithms of how much.

    Where every unit on the way is shut, or the padding of the shortcuts is all that is left, the
    gradient of a path is 0.
    """
    carry = [(k, math.log(norm)) for k, norm in zip(lengths, norms, strict=True) if norm > 0]
    return [k for k, _ in carry], [log for _, log in carry]


def _shares(norms: Sequence[float]) -> list[float]:
    whole = math.fsum(norms)
    return [norm / whole for norm in norms]


def _mean(shares: Sequence[float]) -> float:
    return math.fsum(k * share for k, share in enumerate(shares)) / (len(shares) - 1)


def _short(shares: Sequence[float]) -> float:
    """Return the share of the lengths that the paper found effective."""
    blocks = len(shares) - 1
    low, high = (round(length * blocks / 54) for length in _EFFECTIVE)
    return sum(shares[low : high + 1])


def _line(lengths: Sequence[int], norms: Sequence[float]) -> tuple[float, float]:
    """Fit log(norm) by a straight line; return the factor of a step, and how well it fits."""
    carrying, logs = _logs(lengths, norms)
    slope = float(np.polyfit(carrying, logs, 1)[0])
    return math.exp(slope), float(np.corrcoef(carrying, logs)[0, 1] ** 2)


EXPERIMENT = _PathLengths()
