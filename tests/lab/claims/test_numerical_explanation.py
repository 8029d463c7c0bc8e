from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from minires import nn
from minires.autograd import Tensor
from minires.lab.claims import numerical_explanation as numerical
from minires.lab.claims.numerical_explanation import ITEMS
from minires.lab.experiments import batch_norm, degradation, gradient_norms, shortcut_options
from minires.lab.experiments import six_shortcuts as six
from minires.lab.rules import Measured
from minires.ops import add, conv2d

Plant = Callable[[pytest.MonkeyPatch], None]
READS_THE_LAB = "D1", "D2", "D3", "D9", "D10"


class FakeLab:
    """Has measured what the papers say, or the opposite."""

    def __init__(self, wrong: bool = False) -> None:
        sign = -1 if wrong else 1
        more = [sign * each for each in (0.2, 0.3, 0.4)]
        self.found: dict[str, Any] = {
            "degradation": {
                degradation.PLAIN_RISE: more,
                degradation.MIDDLE_RISE: more,
                degradation.MIDDLE_LEARNS: [0.5] * 3,
                degradation.TEST_RISE: more,
            },
            "gradient-norms": {
                gradient_norms.TWINS: [0.5 if wrong else 100.0] * 3,
                gradient_norms.SETTLED: [5.0 if wrong else 0.001] * 3,
                gradient_norms.FIRST: [1e-6 if wrong else 100.0] * 3,
                gradient_norms.KNOWS: [0.5] * 3,
                gradient_norms.TRAINED: [1e-6 if wrong else 0.5] * 3,
                gradient_norms.GAP: more,
            },
            "batch-norm": {
                batch_norm.SKEW_BEFORE: [2.0] * 3,
                batch_norm.SKEW_CHANGE: [2.0 if wrong else 0.0] * 3,
                batch_norm.KURTOSIS_CHANGE: [0.0] * 3,
                batch_norm.MOMENTS: [0.0] * 3,
            },
            "six-shortcuts": {
                six.LAW: [0.0] * 3,
                six.worse("0.5 : 1", "training"): more,
                six.KNOWS: [0.5] * 3,
                **{six.worse(row): more for row in six.ROWS if row != six.ORIGINAL},
            },
            "shortcut-options": {
                shortcut_options.better("A"): more,
                shortcut_options.better("B"): more,
                shortcut_options.knows("B"): [0.5] * 3,
                shortcut_options.EXTRA_A: 0,
                shortcut_options.C_BEFORE_B: [0.0] * 3,
            },
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
    assert list(ITEMS) == [f"D{number}" for number in range(1, 12)]
    verdicts = Counter(item.verdict for item in ITEMS.values())
    assert verdicts == {"true": 5, "misleading": 3, "false": 2, "typo": 1}
    assert all(item.check for item in ITEMS.values())


@pytest.mark.parametrize("code", ITEMS)
def test_the_correct_statement_holds(code: str) -> None:
    assert outcome(code) == "supports"


@pytest.mark.parametrize("code", READS_THE_LAB)
def test_what_the_lab_has_measured_is_judged(code: str) -> None:
    assert outcome(code, wrong=True) == "contradicts"


def attribute(owner: Any, name: str, value: Any) -> Plant:
    """Plant something else under a name."""
    return lambda patch: patch.setattr(owner, name, value)


def test_where_no_deeper_network_learns_nothing_is_said_of_depth() -> None:
    item, lab = ITEMS["D1"], FakeLab()
    lab.found["degradation"][degradation.MIDDLE_LEARNS] = [0.01] * 3
    assert item.rule is not None
    assert item.check is not None

    assert item.rule.judge(item.check(lab)).outcome == "inconclusive"


def test_one_shortcut_that_is_better_contradicts_that_the_first_is_best() -> None:
    item, lab = ITEMS["D9"], FakeLab()
    lab.found["six-shortcuts"][six.worse("dropout 0.5")] = [-0.1] * 3
    assert item.rule is not None
    assert item.check is not None

    assert item.rule.judge(item.check(lab)).outcome == "contradicts"


PLANTED: dict[str, tuple[str, Plant]] = {
    "D4": ("no norm", attribute(nn, "BatchNorm1d", lambda channels: nn.Identity())),
    "D5": ("an order that is another", attribute(numerical, "_silent", lambda order: nn.ReLU())),
    "D6": ("a shortcut of -1", attribute(numerical, "residual_add", lambda s, b: b - s)),
    "D7": ("no shortcut", attribute(numerical, "residual_add", lambda shortcut, branch: branch)),
    "D8": ("two shortcuts", attribute(numerical, "residual_add", lambda s, b: add(add(s, s), b))),
    "D11": (
        "a kernel of three",
        attribute(
            numerical,
            "conv2d",
            lambda x, weight, **more: conv2d(x, _padded(weight), padding=1, **more),
        ),
    ),
}


def _padded(weight: Tensor) -> Tensor:
    from minires.ops import pad

    return pad(weight, (1, 1, 1, 1)) + 0.1


@pytest.mark.parametrize("code", PLANTED, ids=[f"{c}: {what}" for c, (what, _) in PLANTED.items()])
def test_a_planted_error_is_contradicted(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    PLANTED[code][1](monkeypatch)

    assert outcome(code) == "contradicts"
