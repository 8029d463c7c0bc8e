from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from minires.lab.claims import history
from minires.lab.claims.graphs import counted
from minires.lab.claims.history import ITEMS
from minires.lab.experiments import (
    dense_growth,
    grouped_convolution,
    inception_reducers,
    local_response_norm,
)
from minires.lab.experiments import squeeze_excitation as gates
from minires.lab.rules import Measured
from minires.models import AlexNet, create

CITED = "B2", "B10"


class FakeLab:
    """Has measured what the papers say, or the opposite."""

    def __init__(self, wrong: bool = False) -> None:
        self.found: dict[str, Any] = {
            "inception-reducers": {inception_reducers.WORST: 1.5 if wrong else 0.4},
            "grouped-convolution": {
                grouped_convolution.PATHS: 31 if wrong else 32,
                grouped_convolution.APART: 0.0,
            },
            "squeeze-excitation": {
                gates.OPEN: 0.1 if wrong else 0.0,
                gates.SHAPE: "(N, C, 1, 1)",
            },
            "local-response-norm": {
                local_response_norm.KNOWS: [0.5] * 3,
                local_response_norm.GAIN: [0.1 if wrong else -0.01] * 3,
            },
            "dense-growth": {dense_growth.MEMORY: 0.5 if wrong else 8.0},
        }

    def measured(self, experiment: str) -> Measured:
        return self.found[experiment]  # type: ignore[no-any-return]


def outcome(code: str, wrong: bool = False) -> str:
    item = ITEMS[code]
    assert item.rule is not None
    assert item.check is not None
    measured = item.check(FakeLab(wrong))
    assert set(item.rule.quantities) <= set(measured)
    return item.rule.judge(measured).outcome


def test_all_items_are_there_in_their_order_with_the_verdicts_of_the_audit() -> None:
    assert list(ITEMS) == [f"B{number}" for number in range(1, 22)]
    verdicts = Counter(item.verdict for item in ITEMS.values())
    assert verdicts == {"true": 3, "misleading": 1, "false": 17}
    assert tuple(code for code, item in ITEMS.items() if item.check is None) == CITED


@pytest.mark.parametrize("code", [code for code in ITEMS if code not in CITED])
def test_the_correct_statement_holds(code: str) -> None:
    assert outcome(code) == "supports"


@pytest.mark.parametrize("code", ["B9", "B14", "B17", "B18", "B20"])
def test_what_the_lab_has_measured_is_judged(code: str) -> None:
    assert outcome(code, wrong=True) == "contradicts"


# Of each item a network that is taken for another one, which its check must notice.
MISTAKEN = {
    "B1": ("alexnet", "vgg16"),
    "B4": ("googlenet_2014", "googlenet"),
    "B6": ("alexnet", "vgg16"),
    "B8": ("vgg19", "vgg16"),
    "B9": ("vgg16", "vgg11_lrn"),
    "B11": ("vgg16", "vgg19"),
    "B13": ("googlenet_2014", "resnet50"),
    "B15": ("googlenet_2014", "inception_v3"),
    "B19": ("densenet121", "densenet169"),
    "B20": ("cifar_resnet110", "cifar_resnet56"),
    "B21": ("cifar_resnet20", "cifar_resnet32"),
}


@pytest.mark.parametrize("code", MISTAKEN)
def test_another_network_is_noticed(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, given = MISTAKEN[code]
    monkeypatch.setattr(
        history, "counted", lambda name, *a: counted(given if name == asked else name, *a)
    )

    assert outcome(code) == "contradicts"


PLANTED: dict[str, tuple[str, Any]] = {
    "B3": ("AlexNet", lambda year: AlexNet(2014)),
    "B5": ("_takes", lambda network, side: True),
    "B7": ("counted", lambda *given: counted("vgg16")),
    "B12": ("create", lambda name, **options: create("vgg16", num_classes=10, **options)),
    "B16": ("_takes", lambda network, side: False),
}


@pytest.mark.parametrize("code", PLANTED)
def test_a_planted_error_is_contradicted(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, *PLANTED[code])

    assert outcome(code) == "contradicts"
