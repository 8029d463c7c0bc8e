"""Initialisation: He's keeps the variance of deep plain ReLU networks, Xavier's loses it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from minires.autograd import Tensor
from minires.data import Split
from minires.devices import random
from minires.lab.experiment import Claim, Experiment, Scale, ScaleName, Trials
from minires.lab.figures import epochs_of, label_epochs, name_curves, panels, spread
from minires.lab.images import Images
from minires.lab.learning import Recipe, learn
from minires.lab.rules import Above, Below, Every, Measured, Within
from minires.lab.seeds import paired
from minires.nn import Flatten, Linear, Module, ReLU, Sequential, init
from minires.ops import tensor
from minires.trace import record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minires.lab.theme import Theme

HE = "He et al. 2015, arXiv 1502.01852"
KEPT = "variance behind a layer over that before it, mean of all layers"
HALVED = f"{KEPT}: Xavier's over He's"
THIRTY = f"{HALVED}, to the power of 30"
HALFWAY = "halfway, training error of the shallow network from Xavier's start less that from He's"
SHARE = "training error over that of guessing"
_STARTS: dict[str, Callable[[Tensor], Tensor]] = {
    "He": partial(init.kaiming_normal_, nonlinearity="relu"),
    "Xavier": init.xavier_normal_,
}


@dataclass(frozen=True, kw_only=True)
class _Scale(Scale):
    images: Images
    depths: tuple[int, int]
    width: int
    recipe: Recipe
    batch: int  # images of which variances are measured


class _Initialisation(Experiment):
    """Deep plain networks without BN, from the weights of He et al. and of Glorot and Bengio."""

    name = "initialisation"
    title = "Deep ReLU networks need He's initialisation"
    about = (
        "Plain networks of linear layers and ReLUs, without batch normalisation, start from He's"
        " weights, or from the same numbers at Xavier's scale (Glorot and Bengio 2010), which"
        " leaves out that a ReLU halves what passes. How large the values are is measured layer by"
        " layer; then all are trained. (The paper's networks are convolutional, on ImageNet.)"
    )
    caption = (
        "Left: mean square of what each layer returns, over the first one's, before any training."
        " The others: training error by epoch, in the form of figures 2 and 3 of He et al. 2015"
        " (1502.01852)."
    )
    claims = (
        Claim(
            "With ReLU, Xavier's initialisation loses half of the variance at every layer; He's"
            " keeps it.",
            f"{HE}, section 2.2",
            "0.5^30 = 9e-10 (computed)",
            Every(
                Within(HALVED, 0.45, 0.55),
                Within(f"{KEPT}: He's", 0.8, 1.25),
            ),
        ),
        Claim(
            "Networks of moderate depth converge from both, and faster from He's.",
            f"{HE}, figure 2",
            "22 layers: both converge, top-1 error 33.82 % and 33.90 %; He's sooner",
            Every(
                Above(HALFWAY),
                *(Below(f"{SHARE}, shallow, {start}'s", 0.85, 0.95) for start in _STARTS),
            ),
        ),
        Claim(
            "Deep networks converge from He's, and stall from Xavier's.",
            f"{HE}, figure 3",
            "30 layers: Xavier's does not learn, He's converges",
            Every(
                Above(f"{SHARE}, deep, Xavier's", 0.95, 0.85),
                Below(f"{SHARE}, deep, He's", 0.85, 0.95),
            ),
        ),
    )
    scales: ClassVar[dict[ScaleName, _Scale]] = {
        "tiny": _Scale(
            seconds=2,
            images=Images("digits", train=200, test=100),
            depths=(8, 20),
            width=16,
            recipe=Recipe(1, learning_rate=0.01),
            batch=16,
        ),
        "small": _Scale(
            seconds=120,
            images=Images(train=3200, test=800, side=16),
            depths=(22, 30),
            width=128,
            recipe=Recipe(20, 32, learning_rate=0.01, measure_every=2),
            batch=64,
        ),
        "paper": _Scale(
            seconds=2e5,
            images=Images("cifar10"),
            depths=(22, 30),
            width=512,
            recipe=Recipe(164, 128, learning_rate=0.01, augment=True, measure_every=4),
            batch=128,
        ),
    }

    def conditions(self, scale: _Scale) -> Sequence[str]:
        return [f"{start}-{depth}" for depth in scale.depths for start in _STARTS]

    def run(self, condition: str, scale: _Scale, seed: int, device: str) -> dict[str, Any]:
        start, depth = condition.split("-")
        split = scale.images.read()
        model = network(start, int(depth), scale.width, split, seed).to(device)
        squares = mean_squares(model, split, scale.batch, device)
        learned = learn(model, split, scale.recipe, seed=seed, device=device).record()
        kept = ("epochs", "train_error", "final_train_error", "diverged")
        guessing = 1 - 1 / split.classes
        found = {name: learned[name] for name in kept}
        return {"mean_squares": squares, "guessing": guessing, **found}

    def measure(self, trials: Trials, scale: _Scale) -> Measured:
        def each(start: str, depth: int, name: str) -> list[Any]:
            return [trial[name] for trial in trials[f"{start}-{depth}"]]

        shallow, deep = scale.depths
        kept = {
            start: [_kept(squares) for squares in each(start, deep, "mean_squares")]
            for start in _STARTS
        }
        halved = [one / other for one, other in zip(kept["Xavier"], kept["He"], strict=True)]
        halfway = {
            start: [
                # One that diverged guesses, from then on.
                trial["final_train_error"]
                if trial["diverged"]
                else trial["train_error"][(len(trial["train_error"]) - 1) // 2]
                for trial in trials[f"{start}-{shallow}"]
            ]
            for start in _STARTS
        }
        return {
            HALVED: halved,
            THIRTY: [factor**30 for factor in halved],
            **{f"{KEPT}: {start}'s": factors for start, factors in kept.items()},
            HALFWAY: paired(halfway["Xavier"], halfway["He"]),
            **{
                f"{SHARE}, {which}, {start}'s": [
                    trial["final_train_error"] / trial["guessing"]
                    for trial in trials[f"{start}-{depth}"]
                ]
                for which, depth in (("shallow", shallow), ("deep", deep))
                for start in _STARTS
            },
        }

    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        from matplotlib.ticker import MaxNLocator

        figure, axes = panels(theme, 3, width=4.0)
        sizes, *training = axes
        depths = sorted({int(name.split("-")[1]) for name in trials})
        for number, start in enumerate(_STARTS):
            curves = [trial["mean_squares"] for trial in trials[f"{start}-{depths[-1]}"]]
            scaled = [[square / curve[0] for square in curve] for curve in curves]
            spread(sizes, range(1, len(scaled[0]) + 1), scaled, start, number, theme)
        layers = range(1, len(scaled[0]) + 1)
        law = [0.5 ** (layer - 1) for layer in layers]
        sizes.plot(layers, law, color=theme.ink, linewidth=0.9, linestyle=(0, (1, 2)), label="half")
        sizes.set_yscale("log")
        sizes.set_xlabel("layer")
        sizes.set_ylabel("mean square, over the first one's")
        sizes.set_title(f"{depths[-1]} layers, at the start", **_title(theme))
        name_curves(sizes, theme, loc="lower left")
        for ax, depth in zip(training, depths, strict=True):
            for number, start in enumerate(_STARTS):
                seeds = trials[f"{start}-{depth}"]
                curves = [[100 * error for error in trial["train_error"]] for trial in seeds]
                spread(ax, epochs_of(seeds), curves, start, number, theme)
            ax.set_title(f"{depth} layers", **_title(theme))
            label_epochs(ax)
            ax.set_ylabel("training error, %")
            ax.set_ylim(0, 100)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            name_curves(ax, theme, loc="lower left")
        return figure


def network(start: str, layers: int, width: int, split: Split, seed: int) -> Sequential:
    """Make a plain network of linear layers, which from both starts draws the same numbers.

    In convolutions the zeros around small images would take from the variance, too.
    """
    (image, _), classes = split.train[0], split.classes
    sizes = [image.size, *[width] * (layers - 1), classes]
    with random.seeded(seed):
        linear = [Linear(*both) for both in pairwise(sizes)]
        for layer in linear:
            _STARTS[start](layer.weight)
            init.zeros_(layer.bias)
    hidden = [module for layer in linear[:-1] for module in (layer, ReLU())]
    return Sequential(Flatten(), *hidden, linear[-1])


def mean_squares(model: Module, split: Split, count: int, device: str) -> list[float]:
    """Return the mean square of what each hidden layer makes of the first images."""
    images, _ = split.train.take(range(count))
    with record(model, replay=True) as step:
        model(tensor(images, device=device))
    records = step.records
    made = [records.values[run.output] for run in records.forward if run.op == "linear"]
    return [float(f"{value.stats.rms**2:.4g}") for value in made[:-1] if value.stats is not None]


def _kept(squares: Sequence[float]) -> float:
    """Return the geometric mean of the factors from layer to layer."""
    return float((squares[-1] / squares[0]) ** (1 / (len(squares) - 1)))


def _title(theme: Theme) -> dict[str, Any]:
    return {"color": theme.ink, "fontsize": 10.5, "loc": "left", "fontweight": "bold"}


EXPERIMENT = _Initialisation()
