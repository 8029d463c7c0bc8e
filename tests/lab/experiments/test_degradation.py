from __future__ import annotations

import json
from typing import Any

import pytest

from minires.lab.experiments.degradation import EXPERIMENT, EXTRA, GAP, PLAIN_RISE

TINY = EXPERIMENT.scales["tiny"]


def outcomes(trials: Any) -> list[str]:
    measured = EXPERIMENT.measure(trials, TINY)
    return [claim.rule.judge(measured).outcome for claim in EXPERIMENT.claims]


def made(**errors: list[float]) -> dict[str, list[dict[str, Any]]]:
    """Make up trials of one name such as plain_8 for each network."""
    return {
        name.replace("_", "-"): [
            {"final_train_error": each, "final_test_error": each, "parameters": 100}
            for each in seeds
        ]
        for name, seeds in errors.items()
    }


def test_the_tiny_scale_gives_every_quantity_that_the_rules_name() -> None:
    trials = {
        condition: [
            json.loads(json.dumps(EXPERIMENT.run(condition, TINY, seed, "cpu"), allow_nan=False))
            for seed in range(3)
        ]
        for condition in EXPERIMENT.conditions(TINY)
    }
    measured = EXPERIMENT.measure(trials, TINY)

    for claim in EXPERIMENT.claims:
        assert claim.rule.judge(measured).because
    assert measured[EXTRA] == 0
    assert {len(measured[name]) for name in (GAP, PLAIN_RISE)} == {3}


def test_the_papers_effect_supports_all_claims() -> None:
    trials = made(
        plain_8=[0.04, 0.05, 0.03],
        plain_20=[0.6, 0.5, 0.6],
        residual_8=[0.0, 0.01, 0.0],
        residual_20=[0.001, 0.0, 0.002],
    )

    assert outcomes(trials) == ["supports"] * 3


def test_networks_that_behave_the_other_way_round_contradict_all_claims() -> None:
    trials = made(
        plain_8=[0.8, 0.7, 0.8],
        plain_20=[0.04, 0.05, 0.03],
        residual_8=[0.1, 0.1, 0.1],
        residual_20=[0.8, 0.7, 0.9],
    )

    assert outcomes(trials) == ["contradicts"] * 3


def test_networks_that_learn_nothing_show_neither_degradation_nor_its_repair() -> None:
    guessing = [0.9, 0.9, 0.9]
    trials = made(plain_8=guessing, plain_20=guessing, residual_8=guessing, residual_20=guessing)
    assert outcomes(trials) == ["inconclusive"] * 3

    # Deeper plain networks are worse, but not even the next deeper one begins to learn.
    trials |= made(plain_8=[0.1, 0.1, 0.1])
    assert outcomes(trials) == ["inconclusive"] * 3


@pytest.mark.parametrize("depth", [8, 20])
def test_twins_of_any_depth_that_differ_in_parameters_are_no_fair_comparison(depth: int) -> None:
    trials = made(
        plain_8=[0.1] * 3, plain_20=[0.2] * 3, residual_8=[0.1] * 3, residual_20=[0.0] * 3
    )
    trials[f"residual-{depth}"][0]["parameters"] = 116

    assert EXPERIMENT.measure(trials, TINY)[EXTRA] == 16
    assert outcomes(trials)[1] == "contradicts"
