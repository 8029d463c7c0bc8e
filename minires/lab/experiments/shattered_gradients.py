"""Shattered gradients: in deep plain networks those of two inputs have nothing in common."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from minires.devices import random
from minires.lab.experiment import Claim, Experiment, Scale, ScaleName, Trials
from minires.lab.figures import MARKERS, limit_line, name_curves, panels, spread
from minires.lab.input_gradients import (
    LayerStack,
    autocorrelation,
    input_gradients,
    mean_cosine,
)
from minires.lab.rules import Above, Below, Every, Measured, Within
from minires.lab.seeds import paired

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from minires.lab.theme import Theme

BALDUZZI = "Balduzzi et al. 2017, arXiv 1702.08591"
COSINE = "mean cosine between the input gradients of two inputs"
_FROM, _UPTO = 1, 5  # layers between which halvings are counted: later little is left
_LAST = 5  # a law that holds in the limit is fitted where L grows to its largest by this factor
_HALVED = f"times that the cosine is halved by a layer, L = {_FROM} to {_UPTO}"
HALVINGS = f"{_HALVED}, plain network without BN"
HALVINGS_BN = f"{_HALVED}, plain network with BN"
POWER = (
    "power of 1/L by which the cosine falls, residual network with BN, over the last"
    f" {_LAST}-fold of L (10 to 50; tiny: 5 to 10)"
)
DEEPEST = f"{COSINE}, the deepest network"
LOST = f"{DEEPEST}: plain"
KEPT = f"{DEEPEST}: residual, branch/√L"
DOUBLING = "variance of the gradient before a block over that behind it, residual without BN"
CORRELATION = "autocorrelation of dy/dx at neighbouring points, mean of the first lags"
NOISE = f"{CORRELATION}: the deep plain network"
SMOOTH = f"{CORRELATION}: one layer"
GAIN = f"{CORRELATION}: residual network less plain one"

# Measured before, by the number of layers, with width 200: cosines, and gradient sizes.
_BEFORE = {
    "plain": {1: 0.49, 2: 0.34, 5: 0.087, 10: 0.062, 20: 0.009, 50: 0.003},
    "residual": {1: 0.72, 2: 0.59, 5: 0.30, 10: 0.14, 20: 0.05, 50: 0.06},
    "residual, branch/√L": {1: 0.77, 2: 0.70, 5: 0.67, 10: 0.65, 20: 0.65, 50: 0.67},
}
_BENDING = "residual with BN"
_KINDS = (*_BEFORE, "plain with BN", _BENDING)
_SCALAR = "scalar input, "
_POINTS = 256  # on the line, from -2 to 2
_LAGS = 15


@dataclass(frozen=True, kw_only=True)
class _Scale(Scale):
    width: int
    depths: tuple[int, ...]
    networks: int  # for each seed
    curves: tuple[str, str, str]  # one layer, many, and many with shortcuts


class _ShatteredGradients(Experiment):
    """Gradients with respect to the input, in networks of linear layers and ReLU."""

    name = "shattered-gradients"
    title = "In deep plain networks the gradients of two inputs have nothing in common"
    about = (
        "Fully connected networks as they are drawn, not trained: a layer is a ReLU and a linear"
        " map (He's initialisation), plain or as the branch beside a shortcut. How alike are the"
        " gradients of the output with respect to the input, at two random inputs, and along a"
        " line of inputs? Where there is BN, before the ReLU, its statistics are those of all"
        " inputs together; while gradients are taken they are constants. Along the line the first"
        " norm's shifts are random, so that its units bend at different places. In residual"
        " networks BN also removes the mean that ReLUs make, which the law 1/√L leaves out: with it"
        " the power of 1/L is 0.5/(1 - 1/π) = 0.73 in the limit. The law is one for large L: a line"
        f" is fitted to the logarithms of cosine and L over the last {_LAST}-fold of L (10 to 50)."
        f" Halvings are counted from {_FROM} to {_UPTO} layers, before the cosine is lost in noise."
    )
    caption = (
        "Above: the gradient along a line of inputs, in the form of figure 1 of Balduzzi et al."
        " 2017. Below: its autocorrelation, as in their figure 2, and the mean cosine between the"
        " gradients at two random inputs by depth, with the paper's laws dotted, and in black the"
        " fitted power of 1/L where it was fitted; crosses are numbers that were measured before."
    )
    claims = (
        Claim(
            "In plain ReLU networks the correlation of input gradients decays like 1/2^L.",
            BALDUZZI,
            "1/2^L; measured before, L = 1, 2, 5, 10, 20, 50: .49 .34 .087 .062 .009 .003",
            Every(Within(HALVINGS, 0.75, 1.25), Below(LOST, 0.1, 0.3)),
        ),
        Claim(
            "So it does with batch normalisation, which does not help.",
            BALDUZZI,
            "1/2^L",
            Within(HALVINGS_BN, 0.75, 1.25),
        ),
        Claim(
            "In residual networks with BN it decays like 1/√L only.",
            BALDUZZI,
            "1/√L",
            Within(POWER, 0.35, 0.65),
        ),
        Claim(
            "In residual networks whose branches are scaled by 1/√L it stays, however deep.",
            BALDUZZI,
            "measured before, L = 1, 2, 5, 10, 20, 50: .77 .70 .67 .65 .65 .67",
            Above(KEPT, 0.5, 0.3),
        ),
        Claim(
            "Without BN or scaling the gradient explodes: its variance doubles at each block.",
            "De and Smith 2020, arXiv 2002.10444",
            "gradient size measured before, L = 2, 10, 24, 50: 1.6, 27, 3.3e3, 4.9e7",
            Within(DOUBLING, 1.5, 2.7),
        ),
        Claim(
            "Along a line of inputs the gradient of one layer is a smooth curve, that of 24 plain"
            " layers white noise; with shortcuts 50 layers keep some of the correlation.",
            f"{BALDUZZI}, figures 1 and 2",
            "curves only",
            Every(Above(SMOOTH, 0.5, 0.3), Below(NOISE, 0.1, 0.3), Above(GAIN)),
        ),
    )
    scales: ClassVar[dict[ScaleName, _Scale]] = {
        "tiny": _Scale(
            seconds=2,
            width=32,
            depths=(1, 5, 10),
            networks=2,
            curves=("plain-1", "plain-12", "residual-12"),
        ),
        "small": _Scale(
            seconds=25,
            width=200,
            depths=(1, 2, 5, 10, 20, 24, 50),
            networks=4,
            curves=("plain-1", "plain-24", "residual-50"),
        ),
        "paper": _Scale(
            seconds=90,
            width=200,
            depths=(1, 2, 5, 10, 20, 24, 50),
            networks=20,
            curves=("plain-1", "plain-24", "residual-50"),
        ),
    }

    def conditions(self, scale: _Scale) -> Sequence[str]:
        return [*_KINDS, *(_SCALAR + curve for curve in scale.curves)]

    def run(self, condition: str, scale: _Scale, seed: int, device: str) -> dict[str, Any]:
        with random.seeded(seed):
            if condition.startswith(_SCALAR):
                kind, layers = condition.removeprefix(_SCALAR).split("-")
                return _along_a_line(f"{kind} with BN", int(layers), scale, device)
            return _at_random_inputs(condition, scale, seed, device)

    def measure(self, trials: Trials, scale: _Scale) -> Measured:
        def of(kind: str, what: str = "cosines") -> list[dict[int, float]]:
            return [dict(zip(t["depths"], t[what], strict=True)) for t in trials[kind]]

        def fall(kind: str, first: int, last: int) -> list[float | None]:
            """Return the logarithm of what is left of the cosine; None where it is but noise."""
            pairs = [(cosines[first], cosines[last]) for cosines in of(kind)]
            return [math.log(one / two) if min(one, two) > 0 else None for one, two in pairs]

        deepest = max(scale.depths)
        halvings, with_bn = (
            [_over(drop, (_UPTO - _FROM) * math.log(2)) for drop in fall(kind, _FROM, _UPTO)]
            for kind in ("plain", "plain with BN")
        )
        lines = [[t["mean"] for t in trials[_SCALAR + curve]] for curve in scale.curves]
        shallow, plain, residual = lines
        return {
            **{f"{DEEPEST}: {kind}": [each[deepest] for each in of(kind)] for kind in _KINDS},
            HALVINGS: halvings,
            HALVINGS_BN: with_bn,
            POWER: [-line[0] if line else None for line in map(_fitted, trials[_BENDING])],
            DOUBLING: [
                (sizes[deepest] / sizes[1]) ** (2 / (deepest - 1))
                for sizes in of("residual", "sizes")
            ],
            SMOOTH: shallow,
            NOISE: plain,
            GAIN: paired(residual, plain),
        }

    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        figure, axes = panels(theme, 3, rows=2, width=4.0, height=3.2)
        lines = {n: seeds for n, seeds in trials.items() if n.startswith(_SCALAR)}
        x = np.linspace(-2, 2, _POINTS)
        for number, (name, seeds) in enumerate(lines.items()):
            kind, depth = name.removeprefix(_SCALAR).split("-")
            label = f"{kind}, {depth} layer{'s' * (depth != '1')}"
            axes[number].plot(x, seeds[0]["line"], color=theme.colour(number), linewidth=1)
            axes[number].set_xlabel("input x")
            axes[number].set_title(label, color=theme.ink, fontsize=10)
            curves = [trial["autocorrelation"] for trial in seeds]
            spread(axes[3], range(_LAGS + 1), curves, label, number, theme)
        axes[0].set_ylabel("dy/dx, over its spread")
        limit_line(axes[3], 0.0, "", theme)
        axes[3].set_xlabel("lag, points")
        axes[3].set_ylabel("autocorrelation of dy/dx")
        name_curves(axes[3], theme)
        _draw_cosines(axes[4], trials, ("plain", "plain with BN"), theme)
        _draw_cosines(axes[5], trials, _KINDS[1:3] + _KINDS[4:], theme)
        axes[4].set_ylabel("cosine of two input gradients")
        return figure


def _at_random_inputs(kind: str, scale: _Scale, seed: int, device: str) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    cosines, sizes = [], []
    for depth in scale.depths:
        found = [
            input_gradients(
                LayerStack(kind, depth, scale.width),
                rng.standard_normal((_POINTS, scale.width)),
                device,
            )
            for _ in range(scale.networks)
        ]
        cosines.append(_mean(mean_cosine(each) for each in found))
        sizes.append(math.sqrt(_mean((each**2).sum(1).mean() for each in found)))
    return {
        "depths": list(scale.depths),
        "cosines": [round(cosine, 5) for cosine in cosines],
        "sizes": [float(f"{size:.3g}") for size in sizes],
    }


def _along_a_line(kind: str, depth: int, scale: _Scale, device: str) -> dict[str, Any]:
    x = np.linspace(-2.0, 2.0, _POINTS)[:, None]
    lines = [
        input_gradients(LayerStack(kind, depth, scale.width, scalar=True), x, device)[:, 0]
        for _ in range(scale.networks)
    ]
    correlations = np.mean([autocorrelation(line, _LAGS) for line in lines], axis=0)
    first = lines[0] / max(lines[0].std(), 1e-300)
    return {
        "line": [float(f"{value:.3g}") for value in first],
        "autocorrelation": [round(float(value), 4) for value in correlations],
        "mean": round(float(correlations[1:].mean()), 5),
    }


def _mean(values: Any) -> float:
    return float(np.mean(list(values)))


def _over(drop: float | None, by: float) -> float | None:
    return None if drop is None else drop / by


def _is_late(depth: int, depths: Sequence[int]) -> bool:
    """Return whether a law for large depths is fitted at this one, too."""
    return depth * _LAST >= max(depths)


def _fitted(trial: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return slope and height of a line in the logarithms of cosine and depth, at large depths.

    None if a cosine there is but noise.
    """
    depths = trial["depths"]
    pairs = zip(depths, trial["cosines"], strict=True)
    late = [(depth, cosine) for depth, cosine in pairs if _is_late(depth, depths)]
    if min(cosine for _, cosine in late) <= 0:
        return None
    x, y = np.log(late).T
    slope, height = np.polyfit(x, y, 1)
    return float(slope), float(height)


def _draw_cosines(ax: Axes, trials: Trials, kinds: Sequence[str], theme: Theme) -> None:
    for kind in kinds:
        number, seeds = _KINDS.index(kind), trials[kind]
        depths = seeds[0]["depths"]
        curves = [trial["cosines"] for trial in seeds]
        spread(ax, depths, curves, kind, number, theme, marker=MARKERS[number], markersize=4)
        known = {depth: c for depth, c in _BEFORE.get(kind, {}).items() if depth in depths}
        ax.plot(list(known), list(known.values()), "x", color=theme.ink, markersize=7)
        if kind == _BENDING and (fits := [fit for fit in map(_fitted, seeds) if fit]):
            slope, height = (fmean(each) for each in zip(*fits, strict=True))
            late = [depth for depth in depths if _is_late(depth, depths)]
            line = [math.exp(height) * depth**slope for depth in late]
            name = f"fit, L = {late[0]} to {late[-1]}: 1/L^{-slope:.2f}"
            ax.plot(late, line, color=theme.ink, linewidth=1.6, label=name, zorder=4)
    is_plain = kinds[0] == "plain"
    law = [2.0**-depth if is_plain else depth**-0.5 for depth in depths]
    name = "1/2^L" if is_plain else "1/√L"
    ax.plot(depths, law, color=theme.ink, linewidth=1.1, linestyle=(0, (1, 2)), label=name)
    ax.set_xscale("log")
    ticks = [depth for depth in depths if depth != 24]
    ax.set_xticks(ticks, [str(depth) for depth in ticks])
    ax.minorticks_off()
    ax.set_ylim(-0.05, 1.05 if is_plain else 1.45)
    ax.set_xlabel("layers L")
    name_curves(ax, theme)


EXPERIMENT = _ShatteredGradients()
