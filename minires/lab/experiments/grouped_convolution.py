"""ResNeXt's parallel paths are one grouped convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from minires import devices, nn, ops
from minires.autograd import no_grad
from minires.devices import random
from minires.lab.experiment import Claim, Experiment, Scale, ScaleName, Trials
from minires.lab.figures import bars, panels
from minires.lab.rules import Below, Equal, Every, Measured, Within
from minires.models import counts_of
from minires.models.counting import count
from minires.nn import Bottleneck, split_transform_merge

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minires.lab.theme import Theme

XIE = "Xie et al. 2017, arXiv 1611.05431"
APART = "largest difference of the grouped block from the sum of its 32 paths, relative"
PATHS = "paths"
PARAMETERS = "parameters of ResNeXt-50 (32x4d)"
MACS = "MACs of ResNeXt-50 over those of ResNet-50"
GROUPS = (1, 2, 4, 8, 32)
# Table 2: with more paths each is narrower, so that the costs stay.
_WIDTHS = {1: 64, 2: 40, 4: 24, 8: 14, 32: 4}


class _GroupedConvolution(Experiment):
    """The same block drawn in two ways, and what cardinality costs."""

    name = "grouped-convolution"
    title = "Split, transform, merge is a grouped convolution"
    about = (
        "A bottleneck with a grouped 3x3 convolution is drawn apart into parallel paths that are"
        " added up (figure 3 of the paper, c and a), with the same weights, in float64. And blocks"
        " of each cardinality of table 2 are counted. Nothing is trained."
    )
    caption = (
        "Parameters of a block of each cardinality of table 2 of Xie et al. 2017, whose widths are"
        " chosen so that the costs stay about the same."
    )
    claims = (
        Claim(
            "Aggregated parallel paths and a grouped convolution are the same function.",
            f"{XIE}, section 3.3 and figure 3",
            "equal",
            Every(Equal(PATHS, 32), Below(APART, 1e-12)),
            shows_at="tiny",
        ),
        Claim(
            "ResNeXt-50 (32x4d) costs about what ResNet-50 does.",
            f"{XIE}, table 1",
            "25.0 million parameters and 4.2 billion operations, against 25.5 and 4.1",
            Every(Equal(PARAMETERS, 25_028_904), Within(MACS, 0.95, 1.1)),
            shows_at="tiny",
        ),
    )
    scales: ClassVar[dict[ScaleName, Scale]] = dict.fromkeys(
        ("tiny", "small", "paper"), Scale(seconds=1, seeds=1)
    )

    def conditions(self, scale: Scale) -> Sequence[str]:
        return ["counts and values"]

    def run(self, condition: str, scale: Scale, seed: int, device: str) -> dict[str, Any]:
        with random.seeded(seed):
            block = Bottleneck(256, 64, groups=32, base_width=4, shortcut="A").to("float64")
            x = ops.randn(2, 256, 8, 8, dtype="float64")
        apart = split_transform_merge(block.eval())
        with no_grad():
            together, added = block(x).numpy(), apart(x).numpy()
        networks = {name: counts_of(name) for name in ("resnet50", "resnext50_32x4d")}
        return {
            "paths": len(apart.conv1.paths),
            "difference": float(abs(together - added).max() / abs(together).max()),
            "blocks": {str(groups): _parameters(groups) for groups in GROUPS},
            "params": {name: found.params for name, found in networks.items()},
            "macs": {name: found.macs for name, found in networks.items()},
        }

    def measure(self, trials: Trials, scale: Scale) -> Measured:
        (found,) = trials["counts and values"]
        return {
            PATHS: found["paths"],
            APART: found["difference"],
            PARAMETERS: found["params"]["resnext50_32x4d"],
            MACS: found["macs"]["resnext50_32x4d"] / found["macs"]["resnet50"],
        }

    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        blocks = trials["counts and values"][0]["blocks"]
        figure, (ax,) = panels(theme, width=6)
        heights = {f"{c} x {_WIDTHS[int(c)]}d": params / 1e3 for c, params in blocks.items()}
        bars(ax, heights, theme)
        ax.set_xlabel("cardinality x width of a path")
        ax.set_ylabel("parameters of a block, thousands")
        return figure


def _parameters(groups: int) -> int:
    with devices.default("meta"):
        block: nn.Module = Bottleneck(256, 64, groups=groups, base_width=_WIDTHS[groups])
    return count(block, (256, 8, 8)).params


EXPERIMENT = _GroupedConvolution()
