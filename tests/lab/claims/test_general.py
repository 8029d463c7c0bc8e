from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from minires import nn, ops
from minires.autograd import Tensor
from minires.devices import random
from minires.lab.claims import general_learning as learning
from minires.lab.claims import general_networks as networks
from minires.lab.claims import gradients
from minires.lab.claims.general import ITEMS
from minires.lab.claims.graphs import before, counted, kernels, numbers, ways
from minires.lab.experiments import batch_norm
from minires.lab.experiments.activation_orders import SHORT_SKIPS_TRAINING
from minires.lab.experiments.degradation import GAP, MIDDLE_LEARNS, MIDDLE_RISE, PLAIN_RISE
from minires.lab.experiments.gradient_norms import FIRST, KNOWS, SETTLED, TRAINED
from minires.lab.learning import Recipe
from minires.lab.rules import Measured
from minires.nn.shortcuts import ScaledShortcut

Plant = Callable[[pytest.MonkeyPatch], None]

READS_THE_LAB = "A2", "A7", "A8"


class FakeLab:
    """Has measured degradation and gradients that settle, or the opposite."""

    def __init__(self, reverse: bool = False) -> None:
        sign = -1 if reverse else 1
        rise = [sign * each for each in (0.1, 0.2, 0.3)]
        self.found = {
            "degradation": {
                PLAIN_RISE: rise,
                MIDDLE_RISE: rise,
                MIDDLE_LEARNS: [0.5] * 3,
                GAP: rise,
            },
            "gradient-norms": {
                SETTLED: [0.01**sign] * 3,
                KNOWS: [0.5] * 3,
                FIRST: [100.0] * 3,
                TRAINED: [0.5] * 3,
            },
        }

    def measured(self, experiment: str) -> Measured:
        return self.found[experiment]


class NoLab:
    """Nothing may be read from it."""

    def measured(self, experiment: str) -> Measured:
        raise AssertionError(f"{experiment} was read")


def outcome(code: str, lab: Any = None) -> str:
    item = ITEMS[code]
    assert item.rule is not None
    assert item.check is not None
    measured = item.check(lab or NoLab())
    assert set(item.rule.quantities) <= set(measured)
    return item.rule.judge(measured).outcome


def test_all_items_are_there_in_their_order_with_the_verdicts_of_the_audit() -> None:
    assert list(ITEMS) == [f"A{number}" for number in range(1, 21)]
    verdicts = Counter(item.verdict for item in ITEMS.values())
    assert verdicts == {"true": 3, "misleading": 5, "false": 12}
    assert all(item.check for item in ITEMS.values()), "none of them is a citation"


@pytest.mark.parametrize("code", [c for c in ITEMS if c not in READS_THE_LAB])
def test_the_correct_statement_holds(code: str) -> None:
    assert outcome(code) == "supports"


def test_identity_mapping_is_judged_by_what_the_lab_has_measured_of_degradation() -> None:
    assert outcome("A2", FakeLab()) == "supports"
    assert outcome("A2", FakeLab(reverse=True)) == "contradicts"
    exploding = FakeLab()
    exploding.found["gradient-norms"][SETTLED] = [10.0] * 3
    assert outcome("A2", exploding) == "contradicts"
    vanishing = FakeLab()
    vanishing.found["gradient-norms"][TRAINED] = [1e-6] * 3
    assert outcome("A2", vanishing) == "contradicts"


@pytest.mark.parametrize(
    ("code", "experiment", "names"),
    [
        ("A7", "batch-norm", (batch_norm.HELPS, batch_norm.NOISY)),
        ("A8", "activation-orders", (SHORT_SKIPS_TRAINING,)),
    ],
)
@pytest.mark.parametrize(("sign", "judged"), [(1, "supports"), (-1, "contradicts")])
def test_what_is_trained_is_judged_by_the_lab(
    code: str, experiment: str, names: tuple[str, ...], sign: int, judged: str
) -> None:
    lab = FakeLab()
    lab.found[experiment] = {name: [sign * 0.1] * 3 for name in names}

    assert outcome(code, lab) == judged


def counts(change: Callable[[Any], Any]) -> Plant:
    """Plant counts that are changed."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(networks, "counted", lambda *a, **options: change(counted(*a, **options)))

    return plant


def steps(change: Callable[[Any], Any]) -> Plant:
    """Plant graphs whose steps are changed."""
    return counts(lambda found: found._replace(steps=[change(step) for step in found.steps]))


def other_network(asked: str, given: str) -> Plant:
    """Plant another network under a name."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(
            networks, "counted", lambda name, *a: counted(given if name == asked else name, *a)
        )

    return plant


def attribute(owner: Any, name: str, value: Any) -> Plant:
    """Plant something else under a name."""
    return lambda patch: patch.setattr(owner, name, value)


def concatenated(step: Any) -> Any:
    return step._replace(op="concatenate") if step.op == "residual_add" else step


def halved_shortcut(order: str, shortcut: Any = "A") -> nn.Module:
    alpha = partial(ScaledShortcut, alpha=0.5)
    with random.seeded(0):
        made = nn.BasicBlock(4, 4, shortcut=shortcut and alpha, order=order)
    return made.to("float64")


class SampleNorm(nn.Module):
    """What the article takes batch normalisation for."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        mean = ops.mean(x, (1, 2, 3), keepdim=True)
        return (x - mean) / ops.sqrt(ops.var(x, (1, 2, 3), correction=0, keepdim=True))


original_block = partial(learning._block, "original")
transposed = ops.conv_transpose2d

PLANTED: dict[str, tuple[str, Plant]] = {
    "A1": ("a parameter too many", counts(lambda c: c._replace(params=c.params + 1))),
    "A2": (
        "vanishing gradients",
        attribute(learning, "plain_56_gradients", lambda: [0.1, 0.2, 0.1]),
    ),
    "A3": (
        "a pre-activation block that clips",
        attribute(learning, "_block", lambda order, shortcut="A": original_block(shortcut)),
    ),
    "A4": ("blocks that concatenate", steps(concatenated)),
    "A5": ("blocks that concatenate", steps(concatenated)),
    "A6": ("skips over bottlenecks", other_network("cifar_resnet20", "resnet50")),
    "A9": ("a shortcut that scales", attribute(learning, "_block", halved_shortcut)),
    "A10": ("a plain network with shortcuts", other_network("cifar_plain20", "cifar_resnet20")),
    "A11": ("normalised samples", attribute(nn, "BatchNorm2d", SampleNorm)),
    "A12": ("no norm", attribute(nn, "BatchNorm2d", lambda channels: nn.Identity())),
    "A13": ("a sigmoid that does not saturate", attribute(nn, "Sigmoid", nn.ReLU)),
    "A14": (
        "a transposed convolution that is no adjoint",
        attribute(ops, "conv_transpose2d", lambda *a, **options: 2 * transposed(*a, **options)),
    ),
    "A15": (
        "convolutions without padding",
        attribute(
            nn,
            "Conv2d",
            lambda *a, padding=0, _conv=nn.Conv2d, **options: _conv(*a, **options),
        ),
    ),
    "A16": ("a shortcut that scales", attribute(learning, "_block", halved_shortcut)),
    "A17": (
        "a wide middle",
        attribute(nn, "Bottleneck", partial(nn.Bottleneck, base_width=128)),
    ),
    "A18": ("another width", other_network("wrn_16_4", "wrn_16_2")),
    "A19": ("a layer too many", counts(lambda c: c._replace(depth=c.depth + 1))),
    "A20": (
        "a learning rate that does nothing",
        attribute(
            learning,
            "Recipe",
            lambda epochs, learning_rate, **o: replace(Recipe(epochs, **o), learning_rate=0.1),
        ),
    ),
}


@pytest.mark.parametrize("code", PLANTED, ids=[f"{c}: {what}" for c, (what, _) in PLANTED.items()])
def test_a_planted_error_is_contradicted(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    PLANTED[code][1](monkeypatch)

    assert outcome(code, FakeLab()) == "contradicts"


def test_the_ways_into_a_residual_addition_are_its_shortcut_and_its_branch() -> None:
    block = nn.Bottleneck(8, 4, stride=2, shortcut="B")
    noted = counted(block, (8, 6, 6)).steps
    (addition,) = numbers(noted, "residual_add")
    shortcut, branch = ways(noted, addition)

    assert kernels(noted, shortcut) == [1]
    assert kernels(noted, branch) == [1, 3, 1]
    assert before(noted, addition) == {0, addition, *shortcut, *branch}


def test_gradients_at_initialisation_are_those_of_a_backward_pass() -> None:
    layers = [nn.Conv2d(1, 1, 1, bias=False) for _ in range(2)]
    model = nn.Sequential(*layers, nn.Flatten()).to("float64")
    layers[0].weight.copy_(ops.full((1, 1, 1, 1), 2.0, dtype="float64"))
    layers[1].weight.copy_(ops.full((1, 1, 1, 1), 0.5, dtype="float64"))

    # y = w2 w1 x: the gradients are w2 and w1 times the same.
    assert gradients.first_over_last(model) == pytest.approx(0.5 / 2.0)
