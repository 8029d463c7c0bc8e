"""DenseNet concatenates: channels grow with every layer; a residual network's stay."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from minires import devices
from minires.lab.experiment import Claim, Experiment, Scale, ScaleName, Trials
from minires.lab.figures import name_curves, panels
from minires.lab.rules import Above, Below, Equal, Every, Measured
from minires.models import counts_of, create
from minires.models.counting import Counts, count

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minires.lab.theme import Theme

HUANG = "Huang et al. 2017, arXiv 1608.06993"
GROWTH = "channels that each layer adds in DenseNet-40 (k = 12)"
STAYS = "channels that each block adds within a stage of ResNet-20"
JOINS = "additions in DenseNet-40, and concatenations in ResNet-20"
FEWER = "parameters of DenseNet-BC-100 (k = 12) over those of ResNet-110"
MEMORY = "bytes of activations, DenseNet-BC-100 over ResNet-110"
DENSE, RESIDUAL = "densenet_40_12", "cifar_resnet20"


class _DenseGrowth(Experiment):
    """Channels after each join of two well-known networks, and what activations take."""

    name = "dense-growth"
    title = "Concatenation grows, addition does not"
    about = (
        "A DenseNet and a residual network are run on the shapes of one image, without values; the"
        " tape tells where values are joined, by which op, and how many channels there are then."
        " Nothing is trained; the errors beside the parameters are those of the papers."
    )
    caption = (
        "Channels after each join along DenseNet-40 and ResNet-20: k more with every layer until a"
        " transition, against one width for each stage."
    )
    claims = (
        Claim(
            "Each layer of DenseNet adds k channels, by concatenation; a residual block adds none.",
            f"{HUANG}, section 3",
            "k = 12",
            Every(Equal(GROWTH, [12]), Equal(STAYS, [0]), Equal(JOINS, 0)),
            shows_at="tiny",
        ),
        Claim(
            "DenseNet needs fewer parameters; it pays with memory for activations.",
            f"{HUANG}, table 2; He et al. 2015, arXiv 1512.03385, table 6",
            "DenseNet-BC-100 0.77 million and 4.51 %, ResNet-110 1.73 million and 6.61 %",
            Every(Below(FEWER, 0.5), Above(MEMORY, 1.0)),
            shows_at="tiny",
        ),
    )
    scales: ClassVar[dict[ScaleName, Scale]] = dict.fromkeys(
        ("tiny", "small", "paper"), Scale(seconds=1, seeds=1)
    )

    def conditions(self, scale: Scale) -> Sequence[str]:
        return ["counts"]

    def run(self, condition: str, scale: Scale, seed: int, device: str) -> dict[str, Any]:
        joins = {name: _joins(_counts(name)) for name in (DENSE, RESIDUAL)}
        costs = {name: counts_of(name) for name in ("densenet_bc_100_12", "cifar_resnet110")}
        return {
            "joins": joins,
            "params": {name: found.params for name, found in costs.items()},
            "bytes": {name: found.activation_bytes for name, found in costs.items()},
        }

    def measure(self, trials: Trials, scale: Scale) -> Measured:
        (found,) = trials["counts"]
        joins, params, bytes_ = found["joins"], found["params"], found["bytes"]
        dense, residual = "densenet_bc_100_12", "cifar_resnet110"
        odd = [join for join in joins[DENSE] if join["op"] != "concatenate"]
        odd += [join for join in joins[RESIDUAL] if join["op"] != "residual_add"]
        return {
            GROWTH: _steps(joins[DENSE]),
            STAYS: _steps(joins[RESIDUAL]),
            JOINS: len(odd),
            FEWER: params[dense] / params[residual],
            MEMORY: bytes_[dense] / bytes_[residual],
            "bytes of activations of one image, DenseNet-BC-100": bytes_[dense],
            "bytes of activations of one image, ResNet-110": bytes_[residual],
        }

    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        figure, (ax,) = panels(theme, width=6.5)
        names = {"ResNet-20: addition": RESIDUAL, "DenseNet-40: concatenation": DENSE}
        for number, (label, name) in enumerate(names.items()):
            channels = [join["channels"] for join in trials["counts"][0]["joins"][name]]
            ax.plot(
                range(1, len(channels) + 1),
                channels,
                "os"[number],
                markersize=4,
                color=theme.colour(number),
                label=label,
            )
        ax.set_ylim(0, None)
        ax.set_xlabel("join, from the input on")
        ax.set_ylabel("channels after it")
        name_curves(ax, theme)
        return figure


def _counts(name: str) -> Counts:
    with devices.default("meta"):
        return count(create(name), (3, 32, 32))


def _joins(counts: Counts) -> list[dict[str, Any]]:
    """Return the ops that join values of one image size, and what they make."""
    return [
        {"op": step.op, "channels": step.output[1], "side": step.output[-1]}
        for step in counts.steps
        if step.op in ("concatenate", "residual_add", "add") and len(step.output) == 4
    ]


def _steps(joins: Sequence[dict[str, Any]]) -> list[int]:
    """Return by how many channels joins differ from those before them, at one image size."""
    pairs = itertools.pairwise(joins)
    return sorted(
        {
            later["channels"] - earlier["channels"]
            for earlier, later in pairs
            if earlier["side"] == later["side"]
        }
    )


EXPERIMENT = _DenseGrowth()
