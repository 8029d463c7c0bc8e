from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minires.lab.rules import Above, Below, Equal, Every, Rule, Within, interval, joint, paired

ABOVE, BELOW = Above("x"), Below("x")


@pytest.mark.parametrize(
    ("rule", "values", "outcome"),
    [
        (ABOVE, [0.1, 0.2, 0.3], "supports"),
        (ABOVE, [-0.1, -0.2, -0.3], "contradicts"),
        (ABOVE, [0.1, -0.2, 0.3], "inconclusive"),
        (ABOVE, [0.0, 0.0, 0.0], "inconclusive"),
        (ABOVE, [0.1, 0.2], "inconclusive"),  # two seeds tell nothing
        (ABOVE, [5.0], "inconclusive"),
        (ABOVE, 5.0, "supports"),  # exact, without seeds
        (ABOVE, -5.0, "contradicts"),
        (ABOVE, [1.0] * 20 + [-0.1], "supports"),  # by the interval of the mean
        (BELOW, [0.1, 0.2, 0.3], "contradicts"),
        (BELOW, [-0.1, -0.2, -0.3], "supports"),
        (BELOW, [-1.0] * 20 + [0.1], "supports"),
        (Above("x", 100, otherwise=1), [50.0, 60.0, 70.0], "inconclusive"),
        (Above("x", 100, otherwise=1), [0.5, 0.6, 0.7], "contradicts"),
        (Below("x", 1, otherwise=100), [500.0, 600.0, 700.0], "contradicts"),
        (Within("x", 1, 2), [1.0, 1.5, 2.0], "supports"),
        (Within("x", 1, 2), [0.9, 2.1, 3.0], "contradicts"),
        (Within("x", 1, 2), [1.0, 1.5, 2.1], "inconclusive"),
        (Within("x", 1, 2), [1.0, 1.5], "inconclusive"),
        (Within("x", 1, 2), [1.0], "inconclusive"),
        (Within("x", 1, 2), 1.5, "supports"),
        (Equal("x", 13), 13, "supports"),
        (Equal("x", 13), 12, "contradicts"),
        (Equal("x", [1, 2]), [1, 2], "supports"),
        (Equal("x"), True, "supports"),
        (Equal("x"), False, "contradicts"),
    ],
)
def test_rules_turn_numbers_into_outcomes(rule: Rule, values: object, outcome: str) -> None:
    assert rule.judge({"x": values}).outcome == outcome


@pytest.mark.parametrize("rule", [ABOVE, BELOW, Within("x", -1, 1)])
@pytest.mark.parametrize("missing", [None, math.nan])
def test_a_number_that_is_missing_decides_nothing(rule: Rule, missing: float | None) -> None:
    assert rule.judge({"x": [0.5, missing, 0.5]}).outcome == "inconclusive"
    assert rule.judge({"x": missing}).outcome == "inconclusive"


def test_every_rule_must_support_and_one_contradiction_is_enough() -> None:
    rule = Every(Above("x"), Equal("y", 1))

    assert rule.judge({"x": 1.0, "y": 1}).outcome == "supports"
    assert rule.judge({"x": 1.0, "y": 2}).outcome == "contradicts"
    assert rule.judge({"x": [1.0, -1.0, 1.0], "y": 1}).outcome == "inconclusive"
    assert rule.quantities == ("x", "y")


def test_nothing_together_supports_nothing() -> None:
    assert joint([]) == "inconclusive"


def test_a_rule_says_in_words_what_it_does() -> None:
    assert Above("gain", 2, otherwise=1).text == "gain: above 2 supports, below 1 contradicts"
    assert Below("gain", 2).text == "gain: below 2 supports, above 2 contradicts"


def test_what_was_not_measured_cannot_be_judged() -> None:
    with pytest.raises(KeyError, match="x"):
        ABOVE.judge({"y": 1.0})


@given(st.lists(st.floats(-100, 100), min_size=3, max_size=12))
def test_opposite_rules_have_opposite_outcomes(values: list[float]) -> None:
    opposite = {"supports": "contradicts", "contradicts": "supports"}
    outcome = ABOVE.judge({"x": values}).outcome

    assert BELOW.judge({"x": values}).outcome == opposite.get(outcome, "inconclusive")
    assert BELOW.judge({"x": [-value for value in values]}).outcome == outcome


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=12))
def test_the_interval_is_students(values: list[float]) -> None:
    from scipy.stats import t

    mean, error = np.mean(values), np.std(values, ddof=1) / np.sqrt(len(values))
    reach = t.ppf(0.975, len(values) - 1) * error

    assert interval(values) == pytest.approx((mean - reach, mean + reach), abs=1e-9)


def test_conditions_are_paired_by_their_seeds() -> None:
    assert paired([3, 4], [1, 1]) == [2, 3]
    with pytest.raises(ValueError, match="shorter"):
        paired([3, 4], [1])
