"""Squeeze and excitation gates channels: with its gates open the network is the ResNet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from minires import nn, ops
from minires.autograd import EngineHook, Node, Op, no_grad
from minires.devices import random
from minires.lab.experiment import Claim, Experiment, Scale, ScaleName, Trials
from minires.lab.figures import limit_line, panels
from minires.lab.rules import Equal, Every, Measured, Within
from minires.models import cifar_resnet, counts_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minires.lab.theme import Theme

HU = "Hu et al. 2018, arXiv 1709.01507"
OPEN = "largest difference of the outputs with every gate at 1 from those of the ResNet"
SHAPE = "shape of a gate"
MORE = "parameters of SE-ResNet-50 less those of ResNet-50, in millions"
MACS = "MACs of SE-ResNet-50 over those of ResNet-50"
_FULL = 100.0  # the sigmoid of this is 1, to the last bit of float32


@dataclass(frozen=True, kw_only=True)
class _Scale(Scale):
    depth: int


class _SqueezeExcitation(Experiment):
    """The same network with gates, with gates that are open, and without."""

    name = "squeeze-excitation"
    title = "Squeeze and excitation gates channels, and nothing else"
    about = (
        "A residual network with squeeze and excitation gets the weights of one without, in all"
        " that they share. Its gates are looked at; then they are set to 1. Nothing is trained."
    )
    caption = (
        "The gates of one image in every block at initialisation: one number for each channel."
    )
    claims = (
        Claim(
            "The block rescales channels; with every gate at 1 what remains is the residual"
            " network.",
            f"{HU}, section 3 and figure 3",
            "equal",
            Every(Equal(OPEN, 0.0), Equal(SHAPE, "(N, C, 1, 1)")),
            shows_at="tiny",
        ),
        Claim(
            "In ResNet-50 it adds about 2.5 million parameters and hardly any operations.",
            f"{HU}, section 4",
            "2.5 million; 3.86 and 3.87 billion operations (unverified)",
            Every(Within(MORE, 2.5, 2.56), Within(MACS, 1.0, 1.01)),
            shows_at="tiny",
        ),
    )
    scales: ClassVar[dict[ScaleName, _Scale]] = {
        "tiny": _Scale(seconds=1, seeds=1, depth=8),
        "small": _Scale(seconds=1, seeds=1, depth=20),
        "paper": _Scale(seconds=1, seeds=1, depth=20),
    }

    def conditions(self, scale: _Scale) -> Sequence[str]:
        return ["gates"]

    def run(self, condition: str, scale: _Scale, seed: int, device: str) -> dict[str, Any]:
        resnet = cifar_resnet(scale.depth, seed=seed)
        gated = cifar_resnet(scale.depth, seed=seed, reduction=4)
        gated.load_state_dict(resnet.state_dict(), strict=False)
        with random.seeded(seed):
            x = ops.randn(4, 3, 32, 32)
        with no_grad():
            expected = resnet.eval()(x).numpy()
            with _Gates() as gates:
                gated.eval()(x)
            first = [gate[0].ravel().tolist() for gate in gates.seen]
            shapes = {
                "(N, C, 1, 1)" if gate.shape[2:] == (1, 1) and gate.ndim == 4 else str(gate.shape)
                for gate in gates.seen
            }
            for module in (m for m in gated.modules() if isinstance(m, nn.SqueezeExcitation)):
                nn.init.zeros_(module.fc2.weight)
                nn.init.constant_(module.fc2.bias, _FULL)
            opened = gated(x).numpy()
        counts = {name: counts_of(name) for name in ("resnet50", "se_resnet50")}
        return {
            "gates": first,
            "shape": " and ".join(sorted(shapes)),
            "difference": float(abs(opened - expected).max()),
            "params": {name: found.params for name, found in counts.items()},
            "macs": {name: found.macs for name, found in counts.items()},
        }

    def measure(self, trials: Trials, scale: _Scale) -> Measured:
        (found,) = trials["gates"]
        params, macs = found["params"], found["macs"]
        return {
            OPEN: found["difference"],
            SHAPE: found["shape"],
            MORE: (params["se_resnet50"] - params["resnet50"]) / 1e6,
            MACS: macs["se_resnet50"] / macs["resnet50"],
        }

    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        figure, (ax,) = panels(theme, width=6.5)
        for number, gate in enumerate(trials["gates"][0]["gates"], 1):
            ax.plot([number] * len(gate), gate, "o", markersize=2.5, color=theme.colour(0))
        limit_line(ax, 1.0, "1: the residual network", theme)
        ax.set_ylim(0, 1.1)
        ax.locator_params(axis="x", integer=True)
        ax.set_xlabel("block")
        ax.set_ylabel("gate of a channel")
        return figure


class _Gates(EngineHook):
    """Sees the gates: nothing else here is the output of a sigmoid."""

    keeps_fused = True

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def op_ran(self, op: Op[Any], inputs: tuple[Any, ...], output: Any, node: Node | None) -> None:
        if op.name == "sigmoid":
            self.seen.append(output.numpy().copy())


EXPERIMENT = _SqueezeExcitation()
