from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.lab.experiments.shattered_gradients import (
    EXPERIMENT,
    HALVINGS,
    POWER,
    _fitted,
)
from minires.lab.input_gradients import LayerStack, autocorrelation, input_gradients, mean_cosine

TINY = EXPERIMENT.scales["tiny"]
DEPTHS = [1, 5, 10]


def outcomes(trials: Any) -> list[str]:
    measured = EXPERIMENT.measure(trials, TINY)
    return [claim.rule.judge(measured).outcome for claim in EXPERIMENT.claims]


def made(
    cosines: dict[str, list[float]], means: tuple[float, float, float], growth: float
) -> dict[str, list[dict[str, Any]]]:
    """Make up trials: cosines of each kind by depth, autocorrelations of the three lines."""
    sizes = [growth ** (depth / 2) for depth in DEPTHS]
    kinds = {
        kind: {"depths": DEPTHS, "cosines": cosines[kind], "sizes": sizes}
        for kind in EXPERIMENT.conditions(TINY)[:5]
    }
    names = EXPERIMENT.conditions(TINY)[5:]
    lines = {name: {"mean": each} for name, each in zip(names, means, strict=True)}
    return {condition: [trial] * 3 for condition, trial in {**kinds, **lines}.items()}


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


def test_the_mean_cosine_is_that_of_all_pairs() -> None:
    rows = np.random.default_rng(0).standard_normal((6, 4))
    pairs = [
        rows[i] @ rows[j] / np.linalg.norm(rows[i]) / np.linalg.norm(rows[j])
        for i in range(6)
        for j in range(i)
    ]

    assert mean_cosine(rows) == pytest.approx(np.mean(pairs))


def test_white_noise_has_no_autocorrelation_and_a_straight_line_has() -> None:
    noise = np.random.default_rng(0).standard_normal(10_000)

    assert autocorrelation(noise, 3) == pytest.approx([1, 0, 0, 0], abs=0.03)
    assert autocorrelation(np.arange(10_000.0), 3) == pytest.approx([1] * 4, abs=0.01)


def test_a_gradient_is_that_of_a_single_input_once_statistics_are_known() -> None:
    mr.manual_seed(0)
    network = LayerStack("residual with BN", 3, 8)
    inputs = np.random.default_rng(0).standard_normal((16, 8))
    found = input_gradients(network, inputs, "cpu")[0]

    step = 1e-6 * np.eye(8)
    with mr.no_grad():
        ends = [network(mr.tensor(inputs[0] + sign * step)).numpy()[:, 0] for sign in (1, -1)]
    assert found == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-8)


def test_the_laws_of_the_paper_support_all_claims() -> None:
    halved = [0.5**depth for depth in DEPTHS]
    root = [depth**-0.5 for depth in DEPTHS]
    cosines = {"plain": halved, "plain with BN": halved, "residual with BN": root}
    cosines |= {"residual": root, "residual, branch/√L": [0.7] * 3}
    trials = made(cosines, (0.9, 0.0, 0.2), growth=2.0)
    measured = EXPERIMENT.measure(trials, TINY)

    assert measured[HALVINGS] == pytest.approx([1] * 3)
    assert measured[POWER] == pytest.approx([0.5] * 3)
    assert outcomes(trials) == ["supports"] * 6


def test_cosines_that_stay_when_plain_and_vanish_when_residual_contradict_all_claims() -> None:
    halved = [0.5**depth for depth in DEPTHS]
    stay = [0.6] * 3
    cosines = {"plain": stay, "plain with BN": stay, "residual with BN": halved}
    cosines |= {"residual": halved, "residual, branch/√L": halved}

    assert outcomes(made(cosines, (0.0, 0.5, 0.1), growth=1.0)) == ["contradicts"] * 6


def test_the_power_is_that_of_large_depths_alone() -> None:
    depths = [1, 2, 5, 10, 20, 24, 50]
    cosines = [0.9, 0.8, 0.7, *(10**0.2 * 0.4 * depth**-0.7 for depth in depths[3:])]
    fit = _fitted({"depths": depths, "cosines": cosines})

    assert fit is not None
    assert -fit[0] == pytest.approx(0.7)


def test_cosines_lost_in_noise_tell_nothing_of_their_law() -> None:
    kinds = EXPERIMENT.conditions(TINY)[:5]
    noise = {kind: [0.5, -0.001, -0.001] for kind in kinds}
    trials = made(noise, (0.9, 0.0, 0.2), growth=2.0)

    assert outcomes(trials)[:3] == ["inconclusive"] * 3
