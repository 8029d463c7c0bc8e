"""Inception's 1x1 convolutions make its modules cheap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from minires import devices, nn
from minires.lab.experiment import Claim, Experiment, Scale, ScaleName, Trials
from minires.lab.figures import name_curves, panels
from minires.lab.rules import Below, Measured, Within
from minires.models import counts_of
from minires.models.counting import count
from minires.models.googlenet import MODULES, Inception
from minires.models.parts import Joined

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minires.lab.theme import Theme

SZEGEDY = "Szegedy et al. 2014, arXiv 1409.4842"
WORST = "largest share of its MACs that a module keeps with its reducers"
ALL = "MACs of all modules with reducers over those without"
NETWORK = "MACs of GoogLeNet, in billions"
# Table 1: the side of the image, by the stage of a module.
_SIDES = {"3": 28, "4": 14, "5": 7}


class _InceptionReducers(Experiment):
    """Multiplications of each module of table 1, with and without its 1x1 reductions."""

    name = "inception-reducers"
    title = "The 1x1 convolutions of an Inception module make it affordable"
    about = (
        "Each of GoogLeNet's nine modules is counted as it is, and with its 1x1 reductions left"
        " away, so that the 3x3 and 5x5 convolutions read all channels (the naive module of figure"
        " 2 a; the projection behind the pool stays). Nothing is trained."
    )
    caption = (
        "Multiplications of the nine modules of table 1 of Szegedy et al. 2014, naive (figure 2 a)"
        " and with reducers (figure 2 b)."
    )
    claims = (
        Claim(
            "1x1 reductions remove computational bottlenecks: a module needs far fewer operations.",
            f"{SZEGEDY}, section 4 and figure 2",
            "no number",
            Below(WORST, 0.67, otherwise=1),
            shows_at="tiny",
        ),
        Claim(
            "The whole network takes about 1.5 billion multiplications.",
            f"{SZEGEDY}, section 1",
            "1.5 billion",
            Within(NETWORK, 1.35, 1.65),
            shows_at="tiny",
        ),
    )
    scales: ClassVar[dict[ScaleName, Scale]] = dict.fromkeys(
        ("tiny", "small", "paper"), Scale(seconds=1, seeds=1)
    )

    def conditions(self, scale: Scale) -> Sequence[str]:
        return ["counts"]

    def run(self, condition: str, scale: Scale, seed: int, device: str) -> dict[str, Any]:
        channels, modules = 192, {}
        for name, row in MODULES.items():
            image = channels, _SIDES[name[0]], _SIDES[name[0]]
            with devices.default("meta"):
                pair = {reduced: _module(channels, row, reduced) for reduced in (True, False)}
            modules[name] = {
                "reduced": count(pair[True], image).macs,
                "naive": count(pair[False], image).macs,
            }
            channels = row.c1x1 + row.c3x3 + row.c5x5 + row.pool
        return {"modules": modules, "network": counts_of("googlenet_2014").macs}

    def measure(self, trials: Trials, scale: Scale) -> Measured:
        found = trials["counts"][0]
        modules = found["modules"].values()
        return {
            WORST: max(each["reduced"] / each["naive"] for each in modules),
            ALL: sum(each["reduced"] for each in modules) / sum(e["naive"] for e in modules),
            NETWORK: found["network"] / 1e9,
        }

    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        modules = trials["counts"][0]["modules"]
        figure, (ax,) = panels(theme, width=7.2)
        for number, (kind, hatch) in enumerate((("reduced", ""), ("naive", "////"))):
            places = [place + 0.4 * number - 0.2 for place in range(len(modules))]
            heights = [each[kind] / 1e6 for each in modules.values()]
            label = "with 1x1 reducers" if kind == "reduced" else "without"
            ax.bar(
                places,
                heights,
                width=0.38,
                color=theme.colour(number),
                hatch=hatch,
                edgecolor=theme.ground,
                label=label,
            )
        ax.set_xticks(range(len(modules)), list(modules))
        ax.set_xlabel("module")
        ax.set_ylabel("MACs, millions")
        name_curves(ax, theme)
        return figure


def _module(channels: int, row: Inception, reduced: bool) -> nn.Module:
    """Figure 2 (b), or with `reduced` false its naive form."""

    def branch(between: int, out: int, kernel: int) -> nn.Module:
        padding = kernel // 2
        if not reduced:
            return nn.Conv2d(channels, out, kernel, padding=padding)
        return nn.Sequential(
            nn.Conv2d(channels, between, 1), nn.Conv2d(between, out, kernel, padding=padding)
        )

    return Joined(
        branch1=nn.Conv2d(channels, row.c1x1, 1),
        branch2=branch(row.reduce3x3, row.c3x3, 3),
        branch3=branch(row.reduce5x5, row.c5x5, 5),
        branch4=nn.Sequential(nn.MaxPool2d(3, 1, padding=1), nn.Conv2d(channels, row.pool, 1)),
    )


EXPERIMENT = _InceptionReducers()
