from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from minires import nn
from minires.autograd import Tensor
from minires.lab.claims import gradients
from minires.lab.claims import short_explanation as short
from minires.lab.claims.graphs import counted
from minires.lab.claims.short_explanation import ITEMS
from minires.lab.experiments import forgetting
from minires.lab.experiments.degradation import GAP, MIDDLE_LEARNS, MIDDLE_RISE, PLAIN_RISE
from minires.lab.experiments.gradient_norms import FIRST, KNOWS
from minires.lab.experiments.gradient_norms import TRAINED as RATIO_TRAINED
from minires.lab.rules import Measured
from minires.nn.shortcuts import PadShortcut
from minires.ops import cross_entropy, residual

Plant = Callable[[pytest.MonkeyPatch], None]

TRAINED = "C4", "C10"
READS_THE_LAB = "C1", "C2"
CITED = ("C11",)


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
                KNOWS: [0.5] * 3,
                FIRST: [0.5 * sign] * 3,
                RATIO_TRAINED: [0.5 * sign] * 3,
            },
        }

    def measured(self, experiment: str) -> Measured:
        return self.found[experiment]


def outcome(code: str, lab: Any = None) -> str:
    item = ITEMS[code]
    assert item.rule is not None
    assert item.check is not None
    measured = item.check(lab)
    assert set(item.rule.quantities) <= set(measured)
    return item.rule.judge(measured).outcome


def test_all_items_are_there_in_their_order_with_the_verdicts_of_the_audit() -> None:
    assert list(ITEMS) == [f"C{number}" for number in range(1, 13)]
    verdicts = Counter(item.verdict for item in ITEMS.values())
    assert verdicts == {"true": 2, "misleading": 3, "false": 7}
    assert [code for code, item in ITEMS.items() if item.check is None] == list(CITED)


@pytest.mark.parametrize("code", [c for c in ITEMS if c not in TRAINED + READS_THE_LAB + CITED])
def test_the_correct_statement_holds(code: str) -> None:
    assert outcome(code) == "supports"


@pytest.mark.long
def test_a_detector_finds_digits() -> None:
    assert outcome("C10") == "supports"


@pytest.mark.long
def test_the_stated_block_behaves_like_a_plain_network() -> None:
    assert outcome("C4") == "supports"


def test_what_is_solved_is_judged_by_what_the_lab_has_measured_of_degradation() -> None:
    assert outcome("C1", FakeLab()) == "supports"
    assert outcome("C1", FakeLab(reverse=True)) == "contradicts"
    vanishing = FakeLab()
    vanishing.found["gradient-norms"][RATIO_TRAINED] = [1e-6] * 3
    assert outcome("C1", vanishing) == "contradicts"


@pytest.mark.parametrize(("deep", "judged"), [(0.9, "supports"), (0.1, "contradicts")])
def test_forgetting_must_show_at_both_depths(deep: float, judged: str) -> None:
    lab = FakeLab()
    lab.found["forgetting"] = {
        forgetting.KNEW: [0.7] * 3,
        forgetting.SHALLOW: [0.9] * 3,
        forgetting.DEEP: [deep] * 3,
        forgetting.SPEED: [1.0 if deep > 0.5 else 5.0] * 3,
    }

    assert outcome("C2", lab) == judged


@pytest.mark.parametrize(("stated", "judged"), [(2.0, "supports"), (0.5, "contradicts")])
def test_the_stated_block_must_train_worse(
    stated: float, judged: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def has(model: nn.Module, kind: type[nn.Module]) -> bool:
        return any(isinstance(module, kind) for module in model.modules())

    def last_loss(model: nn.Module, epochs: int, seed: int) -> float:
        return stated if has(model, short.AsStated) else 1.0

    def first_over_last(model: nn.Module) -> float:
        residual = has(model, PadShortcut) and not has(model, short.AsStated)
        return 2.0 if residual else 100.0

    monkeypatch.setattr(short, "last_loss", last_loss)
    monkeypatch.setattr(short, "first_over_last", first_over_last)

    assert outcome("C4") == judged


@pytest.mark.parametrize(("after", "judged"), [(0.6, "supports"), (0.1, "contradicts")])
def test_a_detector_must_find_digits(
    after: float, judged: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(short, "detected", lambda seed: (0.0, after))

    assert outcome("C10") == judged


def attribute(owner: Any, name: str, value: Any) -> Plant:
    """Plant something else under a name."""
    return lambda patch: patch.setattr(owner, name, value)


def other_network(asked: str, given: str) -> Plant:
    """Plant another network under a name."""
    return attribute(
        short, "counted", lambda name, *a: counted(given if name == asked else name, *a)
    )


def steps_that_differ(patch: pytest.MonkeyPatch) -> None:
    seeds = iter(range(3))
    traced = gradients.recorded
    patch.setattr(short, "recorded", lambda model, *shape: traced(model, *shape, seed=next(seeds)))


def two_losses(logits: Tensor, labels: Tensor) -> Tensor:
    return cross_entropy(logits, labels) + cross_entropy(2 * logits, labels)


PLANTED: dict[str, tuple[str, Plant]] = {
    "C1": ("vanishing gradients", attribute(short, "plain_56_gradients", lambda: [0.1, 0.2, 0.1])),
    "C3": ("early values that change", steps_that_differ),
    "C5": ("several sizes side by side", other_network("resnet101", "googlenet_2014")),
    "C6": ("Tensors that are written into", attribute(Tensor, "__setitem__", lambda *given: None)),
    "C7": ("a loss more", attribute(gradients, "cross_entropy", two_losses)),
    "C8": (
        "a sum that is broadcast",
        attribute(residual, "check_equal_shapes", lambda *shapes: None),
    ),
    "C9": ("no norm", attribute(nn, "BatchNorm2d", lambda channels: nn.Identity())),
    "C12": ("one size alone", other_network("googlenet_2014", "googlenet")),
}


@pytest.mark.parametrize("code", PLANTED, ids=[f"{c}: {what}" for c, (what, _) in PLANTED.items()])
def test_a_planted_error_is_contradicted(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    PLANTED[code][1](monkeypatch)

    assert outcome(code, FakeLab()) == "contradicts"


def test_a_block_that_adds_to_its_input_is_not_taken_for_the_stated_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(short, "last_loss", lambda *given: 1.0)
    monkeypatch.setattr(short, "first_over_last", lambda model: 1.0 + len(repr(model)))
    monkeypatch.setattr(short, "AsStated", nn.BasicBlock)

    assert outcome("C4") == "contradicts"
