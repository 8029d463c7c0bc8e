"""Loss surfaces: slices through the loss around trained networks, with and without shortcuts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from minires.lab.experiment import Claim, Experiment, Scale, ScaleName, Trials
from minires.lab.figures import panels
from minires.lab.images import Images
from minires.lab.learning import PUBLISHED, Recipe, learn
from minires.lab.loss_slices import loss_slice, not_convex
from minires.lab.networks import gained, network_for
from minires.lab.rules import Above, Below, Every, Given, Measured, Rule
from minires.lab.seeds import paired
from minires.pages import short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minires.lab.theme import Theme

LI = "Li et al. 2018, arXiv 1712.09913"
SHARE = "share of the slice where the loss is not convex"
TWINS = f"{SHARE}: the deep plain network's less that of its residual twin"
DEPTHS = f"{SHARE}: the deep plain network's less the shallow one's"
CHAOS = f"{SHARE}: the deep residual network"
GAIN = "test error of the deep plain network less that of its residual twin"
PLAIN, RESIDUAL, SHALLOW = "deep plain", "deep residual", "shallow plain"

_SHORTCUTS = {"residual": "A", "plain": None}


@dataclass(frozen=True, kw_only=True)
class _Scale(Scale):
    images: Images
    depths: tuple[int, int]
    width: int
    recipe: Recipe
    points: int  # on each side of the slice
    seen: int  # training images that the loss is the mean of


def knows(network: str) -> str:
    """Return the name of the quantity that tells what a network has learned."""
    return f"what the {network} network has learned: error of guessing less its training error"


def _learns(network: str) -> Rule:
    return Above(knows(network), 0.1)


class _LossSurfaces(Experiment):
    """The loss along two random directions from trained plain and residual networks."""

    name = "loss-surfaces"
    title = "Without shortcuts the loss around a deep network is chaotic"
    about = (
        "Plain networks and their residual twins are trained; then their weights are moved along"
        " two random directions, and the loss is the mean over some training images, in evaluation"
        " mode. In a direction every filter is as long as that filter of the network; norms and"
        " biases stay. A point of the slice is called not convex where the loss curves down by more"
        " than a tenth of what it curves up (eigenvalues of the slice's second differences; Li et"
        " al. map the same ratio for the whole Hessian), or is not finite. What is seen is a slice:"
        " a surface that is convex in it need not be convex. Around a network that has hardly"
        " learnt it tells nothing of trained ones: the rules ask for training errors 10 % below"
        " guessing."
    )
    caption = (
        "Contours of the loss around each network (cross: the network; one seed), in the form of"
        " the contours of Li et al. 2018. The axes count lengths of the two directions; all slices"
        " have the same levels."
    )
    claims = (
        Claim(
            "Around a deep network without shortcuts the loss is chaotic; with them it is not.",
            LI,
            "contours only",
            Given(Every(_learns(PLAIN), _learns(RESIDUAL)), Above(TWINS)),
            shows_at="paper",
        ),
        Claim(
            "Around a deep network with shortcuts it is mostly convex.",
            LI,
            "contours only",
            Given(_learns(RESIDUAL), Below(CHAOS, 0.25, 0.5)),
            shows_at="paper",
        ),
        Claim(
            "The chaos comes with depth: around a shallow plain network there is less of it.",
            LI,
            "contours only",
            Given(Every(_learns(PLAIN), _learns(SHALLOW)), Above(DEPTHS)),
            shows_at="paper",
        ),
        Claim(
            "Where the surface is chaotic the trained network errs more often.",
            LI,
            "test error with and without shortcuts: ResNet-20 7.37 and 8.18 %, ResNet-56 5.89 and"
            " 13.31 % (10.83 % at learning rate 0.01), ResNet-110 5.79 and 16.44 %",
            Given(Every(_learns(PLAIN), _learns(RESIDUAL)), Above(GAIN)),
            shows_at="paper",
        ),
    )
    scales: ClassVar[dict[ScaleName, _Scale]] = {
        "tiny": _Scale(
            seconds=3,
            images=Images("digits", train=200, test=100),
            depths=(8, 14),
            width=4,
            recipe=Recipe(1),
            points=5,
            seen=50,
        ),
        "small": _Scale(
            seconds=570,
            images=Images(train=800, test=400, side=16),
            # In 1,000 steps a plain network of 56 layers hardly begins to learn.
            depths=(20, 44),
            width=8,
            recipe=Recipe(40, 32, learning_rate=0.05, measure_every=40),
            points=15,
            seen=200,
        ),
        "paper": _Scale(
            seconds=2e6,
            images=Images("cifar10"),
            depths=(20, 56),
            width=16,
            recipe=PUBLISHED,
            points=51,
            seen=10_000,
        ),
    }

    def conditions(self, scale: _Scale) -> Sequence[str]:
        return [f"{kind}-{depth}" for depth in scale.depths for kind in _SHORTCUTS]

    def run(self, condition: str, scale: _Scale, seed: int, device: str) -> dict[str, Any]:
        kind, depth = condition.split("-")
        split = scale.images.read()
        model = network_for(split, int(depth), scale.width, seed, _SHORTCUTS[kind])
        record = learn(model, split, scale.recipe, seed=seed, device=device).record()
        losses = np.full((scale.points, scale.points), np.nan)
        if not record["diverged"]:
            losses = loss_slice(model.eval(), split, scale.points, scale.seen, seed, device)
        return {
            "losses": [[_rounded(loss) for loss in row] for row in losses],
            "train_error": record["final_train_error"],
            "test_error": record["final_test_error"],
            "diverged": record["diverged"],
        }

    def measure(self, trials: Trials, scale: _Scale) -> Measured:
        shares = {
            name: [not_convex(trial["losses"]) for trial in seeds] for name, seeds in trials.items()
        }
        shallow, deep = (f"plain-{depth}" for depth in scale.depths)
        twin = f"residual-{scale.depths[1]}"
        errors = {
            (name, part): [trial[f"{part}_error"] for trial in seeds]
            for name, seeds in trials.items()
            for part in ("train", "test")
        }
        return {
            **{f"{SHARE}: {name}": share for name, share in shares.items()},
            **{
                f"median loss of the slice: {name}": [_median(trial["losses"]) for trial in seeds]
                for name, seeds in trials.items()
            },
            **{
                f"{part.replace('train', 'training')} error, {name}": found
                for (name, part), found in errors.items()
            },
            knows(PLAIN): gained(errors[deep, "train"]),
            knows(RESIDUAL): gained(errors[twin, "train"]),
            knows(SHALLOW): gained(errors[shallow, "train"]),
            TWINS: paired(shares[deep], shares[twin]),
            CHAOS: shares[twin],
            DEPTHS: paired(shares[deep], shares[shallow]),
            GAIN: paired(errors[deep, "test"], errors[twin, "test"]),
        }

    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import LogNorm

        slices = {name: _drawable(seeds[0]["losses"]) for name, seeds in trials.items()}
        low, high = _ends(slices.values())
        scale, levels = LogNorm(low, high), np.geomspace(low, high, 17)
        decades = 10.0 ** np.arange(math.ceil(math.log10(low)), math.ceil(math.log10(high)))
        # White is lost on the light end of the colours.
        inks = ["white" if scale(decade) < 0.6 else "black" for decade in decades]
        figure, axes = panels(theme, 2, rows=2, sharex=True, sharey=True)
        for ax, (name, losses) in zip(axes, slices.items(), strict=True):
            ends = np.linspace(-1, 1, len(losses))
            ax.set_xticks([-1, -0.5, 0, 0.5, 1])
            ax.contourf(ends, ends, losses, levels, norm=scale, extend="both")
            if len(decades):
                lines = ax.contour(ends, ends, losses, decades, colors=inks, linewidths=0.7)
                ax.clabel(lines, fmt=short, fontsize=8)
            ax.plot(0, 0, "+", color="white", markersize=9, markeredgewidth=1.6)
            train, test = (100 * trials[name][0][f"{part}_error"] for part in ("train", "test"))
            title = f"{name}: training error {train:.0f} %, test error {test:.0f} %"
            ax.set_title(title, color=theme.ink, fontsize=9.5)
            ax.grid(False)
        for ax in axes[2:]:
            ax.set_xlabel("first direction")
        for ax in axes[::2]:
            ax.set_ylabel("second direction")
        bar = figure.colorbar(ScalarMappable(scale), ax=axes, shrink=0.8)
        bar.set_label("loss", color=theme.ink)
        bar.ax.tick_params(colors=theme.ink, which="both")
        return figure


def _median(losses: Any) -> float | None:
    """Return the number that half of the losses exceed; None if that is not finite."""
    return _rounded(float(np.median(np.nan_to_num(np.array(losses, float), nan=np.inf))))


def _rounded(loss: float) -> float | None:
    return float(f"{loss:.6g}") if math.isfinite(loss) else None


def _drawable(losses: Any) -> np.ndarray[Any, Any]:
    """Return losses that a logarithm can be taken of; what is not finite stays white."""
    return np.ma.masked_invalid(np.maximum(np.array(losses, float), 1e-4))


def _ends(slices: Any) -> tuple[float, float]:
    """Return between what most losses lie."""
    finite = np.concatenate([each.compressed() for each in slices] or [np.ones(1)])
    if not len(finite):
        return 0.1, 10.0
    low, high = np.quantile(finite, [0.0, 0.98])
    return float(low), float(max(high, 2 * low))


EXPERIMENT = _LossSurfaces()
