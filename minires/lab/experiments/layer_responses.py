"""Layer responses: how strongly the layers of trained networks answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, ClassVar

from minires import nn
from minires.autograd import EngineHook, Node, Op, no_grad
from minires.autograd.context import module_path
from minires.lab.experiment import Claim, Experiment, Scale, ScaleName, Trials
from minires.lab.figures import name_curves, panels, spread
from minires.lab.images import Images
from minires.lab.learning import Recipe, learn
from minires.lab.networks import network_for
from minires.lab.pretrained import pretrained
from minires.lab.rules import Above, Given, Measured
from minires.lab.seeds import paired
from minires.ops import tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minires.lab.theme import Theme

HE2015 = "He et al. 2015, arXiv 1512.03385"
DEEPER = "mean response of the shallow pretrained network less that of the deep one"
PLAIN = "mean response of the plain network less that of its residual twin"
LEARNED = "error of guessing less the larger test error of the twins"
TWINS = {"plain twin": None, "residual twin": "A"}
_GUESSING = 0.9


@dataclass(frozen=True, kw_only=True)
class _Scale(Scale):
    images: Images  # of the twins that are trained here
    networks: tuple[str, str]  # a shallow and a deep one that others trained
    count: int  # images that the responses are measured on
    depth: int
    width: int
    recipe: Recipe


class _LayerResponses(Experiment):
    """Standard deviations of what each batch norm of a 3x3 convolution makes."""

    name = "layer-responses"
    title = "Residual networks answer with less, and deeper ones with less still"
    about = (
        "The standard deviation of every 3x3 layer's output, behind its batch norm and before ReLU"
        " or addition, in evaluation mode: of two residual networks of different depths that others"
        " trained, on original CIFAR-10 *training* images, from which they have learned; and of a"
        " plain network and its residual twin that are trained here. The pretrained networks are"
        " one pair: seeds are other images, and tell nothing of how other trainings would end."
        " Between the small twins the difference is slight, a few per cent of the response."
    )
    caption = (
        "Standard deviation of each layer's output, in the order of the layers (top) and by size"
        " (bottom), as in figure 7 of He et al. 2015: pretrained networks, one of each depth, left;"
        " twins that were trained here, a pair for each seed, right."
    )
    claims = (
        Claim(
            "A deeper residual network has smaller responses: its layers change the signal less.",
            f"{HE2015}, figure 7",
            "curves only: ResNet-110 below 56 below 20",
            Above(DEEPER),
        ),
        Claim(
            "Residual networks have smaller responses than plain ones.",
            f"{HE2015}, figure 7",
            "curves only",
            Given(Above(LEARNED, 0.1), Above(PLAIN)),
        ),
    )
    scales: ClassVar[dict[ScaleName, _Scale]] = {
        "tiny": _Scale(
            seconds=6,
            images=Images("digits", train=200, test=100),
            networks=("cifar_resnet20_digits", "cifar_resnet20_digits"),
            count=30,
            depth=8,
            width=4,
            recipe=Recipe(1),
        ),
        "small": _Scale(
            seconds=100,
            images=Images(train=3200, test=400, side=16),
            networks=("cifar_resnet20", "cifar_resnet56"),
            count=200,
            depth=20,
            width=8,
            recipe=Recipe(10, learning_rate=0.05, measure_every=10),
        ),
        "paper": _Scale(
            seconds=3e6,
            images=Images("cifar10"),
            networks=("cifar_resnet20", "cifar_resnet56"),
            count=1000,
            depth=56,
            width=16,
            recipe=Recipe(164, 128, augment=True, measure_every=164),
        ),
    }

    def conditions(self, scale: _Scale) -> Sequence[str]:
        return ["pretrained, shallow", "pretrained, deep", *TWINS]

    def given(self, scale: _Scale) -> Any:
        return [pretrained(name, scale.count, seed=0).about for name in scale.networks]

    def run(self, condition: str, scale: _Scale, seed: int, device: str) -> dict[str, Any]:
        if condition in TWINS:
            split = scale.images.read()
            network: nn.Module = network_for(
                split, scale.depth, scale.width, seed, TWINS[condition]
            )
            record = learn(network, split, scale.recipe, seed=seed, device=device).record()
            pixels = split.test.arrays[0][: scale.count]
            found: dict[str, Any] = {"test_error": record["final_test_error"]}
        else:
            name = scale.networks[condition.endswith("deep")]
            given = pretrained(name, scale.count, seed)
            network, (pixels, _) = given.model.to(device), given.images.arrays
            found = {"test_error": None, "images": given.about}
        network.eval()
        with no_grad(), _Responses() as responses:
            network(tensor(pixels, device=device))
        return {"responses": responses.found, **found}

    def measure(self, trials: Trials, scale: _Scale) -> Measured:
        means = {
            name: [fmean(trial["responses"]) if _has_responses(trial) else None for trial in seeds]
            for name, seeds in trials.items()
        }
        shallow, deep, plain, residual = means.values()
        errors = [[trial["test_error"] for trial in trials[name]] for name in TWINS]
        return {
            **{f"mean response, {name}": values for name, values in means.items()},
            DEEPER: paired(shallow, deep),
            PLAIN: paired(plain, residual),
            "the plain network's over that of its residual twin": [
                one / other if one and other else None
                for one, other in zip(plain, residual, strict=True)
            ],
            LEARNED: [_GUESSING - max(both) for both in zip(*errors, strict=True)],
        }

    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        figure, axes = panels(theme, 2, rows=2, height=2.8, sharey="col")
        names = list(trials)
        for column, pair in enumerate((names[:2], names[2:])):
            for number, name in zip((1, 0) if column else (0, 1), pair, strict=True):
                curves = [trial["responses"] for trial in trials[name] if _has_responses(trial)]
                layers = range(1, max(map(len, curves), default=0) + 1)
                spread(axes[column], layers, curves, name, number, theme)
                by_size = [sorted(curve, reverse=True) for curve in curves]
                spread(axes[column + 2], layers, by_size, name, number, theme)
            axes[column].set_xlabel("layer")
            axes[column + 2].set_xlabel("layer, by size")
            for ax in (axes[column], axes[column + 2]):
                ax.set_ylim(0, 1.05 * ax.get_ylim()[1])
                ax.locator_params(axis="x", integer=True)
            name_curves(axes[column], theme)
        axes[0].set_ylabel("standard deviation")
        axes[2].set_ylabel("standard deviation")
        return figure


class _Responses(EngineHook):
    """Measures what the batch norms behind 3x3 convolutions make."""

    def __init__(self) -> None:
        self.found: list[float] = []
        self._kernel = 0

    def op_ran(self, op: Op[Any], inputs: tuple[Any, ...], output: Any, node: Node | None) -> None:
        if op.name == "conv2d":
            self._kernel = inputs[1].shape[-1]
        elif op.name == "batch_norm" and self._kernel == 3 and "downsample" not in module_path():
            self.found.append(float(output.numpy().std()))


def _has_responses(trial: Mapping[str, Any]) -> bool:
    """Return whether all responses are numbers: those of a network that diverged may be none."""
    return None not in trial["responses"]


EXPERIMENT = _LayerResponses()
