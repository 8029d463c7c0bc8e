from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minires.lab.rules import Above, Below, Equal, Every, Given, Rule, Within, joint
from minires.lab.seeds import interval, paired

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
        (Within("x", 1, 2), [2.2, 2.1, 3.0], "contradicts"),
        (Within("x", 1, 2), [0.9, 0.1, -3.0], "contradicts"),
        (Within("x", 1, 2), [0.9, 2.1, 3.0], "inconclusive"),  # on both sides
        (Within("x", 1, 2), [1.0, 1.5, 2.1], "inconclusive"),
        (Within("x", 1, 2), [1.0, 1.5], "inconclusive"),
        (Within("x", 1, 2), [1.0], "inconclusive"),
        (Within("x", 1, 2), 1.5, "supports"),
        (Equal("x", 13), 13, "supports"),
        (Equal("x", 13), 12, "contradicts"),
        (Equal("x", [1, 2]), [1, 2], "supports"),
        (Equal("x"), True, "supports"),
        (Equal("x"), False, "contradicts"),
        (Equal("x"), 1, "contradicts"),
        (Equal("x", 1), True, "contradicts"),
        (Equal("x", [1, 2]), (1, 2), "supports"),  # as a file has it
        (Equal("x", (1, (2, 3))), [1, [2, 3]], "supports"),
        (Equal("x", [1, 2]), [1, 2, 2], "contradicts"),
        (Equal("x", 2), 2.0, "supports"),
        (ABOVE, [1e200, 2e200, 3e200], "supports"),  # whose squares are too large
        (ABOVE, [1e200, -2e200, 3e200], "inconclusive"),
    ],
)
def test_rules_turn_numbers_into_outcomes(rule: Rule, values: object, outcome: str) -> None:
    assert rule.judge({"x": values}).outcome == outcome


@pytest.mark.parametrize("rule", [ABOVE, BELOW, Within("x", -1, 1), Equal("x", [0.5, 0.5, 0.5])])
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


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(0.1, "supports"), (0.9, "inconclusive"), ([0.1, 0.9, 0.1], "inconclusive")],
)
def test_a_rule_decides_only_where_its_condition_holds(error: object, outcome: str) -> None:
    rule = Given(Below("error", 0.5), Every(Below("x", 1), Above("y")))

    assert rule.judge({"error": error, "x": 0.0, "y": 1.0}).outcome == outcome
    against = "contradicts" if outcome == "supports" else "inconclusive"
    judged = rule.judge({"error": error, "x": 2.0, "y": 1.0})
    assert judged.outcome == against
    assert judged.because.endswith("; x: 2; y: 1")
    assert rule.quantities == ("error", "x", "y")
    assert Given(rule, Above("z")).condition == "error below 0.5, x below 1, y above 0, z above 0"


@pytest.mark.parametrize(
    "rule",
    [
        lambda: Above("x", 100, otherwise=200),
        lambda: Below("x", 100, otherwise=50),
        lambda: Within("x", 2, 1),
        lambda: Within("x", math.nan, 1),
    ],
)
def test_limits_that_leave_no_room_are_refused(rule: object) -> None:
    with pytest.raises(ValueError, match=r"^x: "):
        rule()  # type: ignore[operator]


def test_nothing_together_supports_nothing() -> None:
    assert joint([]) == "inconclusive"


def test_a_rule_says_in_words_what_it_does() -> None:
    assert Above("gain", 2, otherwise=1).text == "gain: above 2 supports, below 1 contradicts"
    assert Below("gain", 2).text == "gain: below 2 supports, above 2 contradicts"
    between = Within("gain", 9.9996, 10.0004)
    assert between.text == "gain: from 9.9996 to 10.0004 supports, outside contradicts"
    assert Equal("shape", [1, 2]).text == "shape: [1, 2] supports, all else contradicts"
    assert Every(Above("x"), Below("y", 1e-12)).text == (
        "x: above 0 supports, below 0 contradicts; y: below 1e-12 supports, above 1e-12 contradicts"
    )


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
