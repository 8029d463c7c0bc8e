from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.lab.experiments.path_lengths import (
    EXPERIMENT,
    FORKS,
    MEAN,
    SHORT,
    gradient_by_length,
)
from minires.lab.path_gradients import Gate
from minires.lab.theme import LIGHT

TINY = EXPERIMENT.scales["tiny"]
BLOCKS = 54


def outcomes(trials: Any) -> list[str]:
    measured = EXPERIMENT.measure(trials, TINY)
    return [claim.rule.judge(measured).outcome for claim in EXPERIMENT.claims]


def made(factor: float, **differences: Any) -> dict[str, list[dict[str, Any]]]:
    """Make up trials in which a path carries so much of what a path one block shorter does."""
    lengths = list(range(0, BLOCKS + 1, 3))
    trial = {
        "train_error": 0.3,
        "binomial": True,
        "inexact_forks": 0,
        "error": 1e-7,
        "by_branch": [0.2] * BLOCKS,
        "shares": [
            math.comb(BLOCKS, k) * factor**k / (1 + factor) ** BLOCKS for k in range(BLOCKS + 1)
        ],
        "lengths": lengths,
        "norms": [factor**k for k in lengths],
    }
    return {"initial": [trial] * 3, "trained": [trial | differences] * 3}


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
    assert measured[FORKS] == 0


@pytest.mark.parametrize("open_side", ["shortcut", "branch", "both"])
def test_gates_change_nothing_in_the_forward_pass(open_side: str) -> None:
    x = mr.randn(2, 3, 8, 8)
    gated = mr.models.cifar_resnet(8, Gate, width=4, seed=0)
    for gate in gates_of(gated):
        gate.open = open_side

    np.testing.assert_array_equal(
        gated(x).numpy(), mr.models.cifar_resnet(8, "A", width=4, seed=0)(x).numpy()
    )


def test_the_gradients_of_all_paths_one_by_one_add_up_to_the_parts_of_the_spectrum() -> None:
    mr.manual_seed(0)
    model = mr.models.cifar_resnet(8, Gate, width=4, seed=0).to("float64")
    images = mr.randn(4, 3, 8, 8).to("float64").requires_grad_()
    gates = gates_of(model)

    def gradient() -> Any:
        (found,) = mr.grad(mr.ops.cross_entropy(model(images), labels), [images])
        return found.numpy()

    labels = mr.tensor([0, 1, 2, 3])
    with mr.trace.record(model) as trace:
        mr.ops.cross_entropy(model(images), labels).backward()
    spectrum = trace.path_spectrum(images)

    for length, part in enumerate(spectrum.parts):
        summed = np.zeros_like(part)
        for path in combinations(range(3), length):
            for number, gate in enumerate(gates):
                gate.open = "branch" if number in path else "shortcut"
            summed += gradient()
        np.testing.assert_allclose(summed, part, rtol=1e-9, atol=1e-14)


def test_what_falls_by_a_factor_with_each_block_is_binomially_distributed() -> None:
    trial = made(0.26)["trained"][0]
    probability = 0.26 / 1.26
    binomial = [
        math.comb(BLOCKS, k) * probability**k * (1 - probability) ** (BLOCKS - k)
        for k in range(BLOCKS + 1)
    ]

    np.testing.assert_allclose(gradient_by_length(trial), binomial, rtol=1e-9)


def test_paths_that_carry_less_by_each_block_support_all_claims() -> None:
    assert outcomes(made(0.26)) == ["supports"] * 4


def test_paths_that_carry_more_by_each_block_contradict() -> None:
    assert outcomes(made(1.2)) == ["supports", "supports", "contradicts", "contradicts"]


def test_parts_that_do_not_add_up_contradict() -> None:
    assert outcomes(made(0.26, error=0.1, binomial=False))[:2] == ["contradicts"] * 2
    assert outcomes(made(0.26, inexact_forks=1))[1] == "contradicts"


def test_around_a_network_that_guesses_the_claims_about_trained_ones_are_open() -> None:
    judged = outcomes(made(0.26, train_error=0.85))

    assert judged == ["supports", "supports", "inconclusive", "inconclusive"]


def test_the_share_of_short_paths_is_their_projection_on_the_gradient() -> None:
    shares = [0.0] * (BLOCKS + 1)
    shares[2], shares[10], shares[30] = 0.25, 1.0, -0.25  # which pulls the other way
    measured = EXPERIMENT.measure(made(0.26, shares=shares), TINY)

    assert measured[f"{SHORT}, trained"] == [1.0] * 3
    assert measured[f"{MEAN}, trained"] == [pytest.approx((0.5 + 10 - 7.5) / BLOCKS)] * 3


def test_the_shares_of_a_trial_add_up_to_one() -> None:
    trial = EXPERIMENT.run("initial", TINY, 0, "cpu")

    assert sum(trial["shares"]) == pytest.approx(1, abs=1e-3)


def test_a_network_that_diverged_has_no_gradient_and_decides_nothing() -> None:
    scale = replace(TINY, depth=8, recipe=replace(TINY.recipe, learning_rate=1e20))
    with np.errstate(all="ignore"):
        gone = EXPERIMENT.run("trained", scale, 0, "cpu")
    trials = made(0.26)
    trials["trained"][0] = gone

    assert outcomes(trials) == ["supports", "supports", "inconclusive", "inconclusive"]
    assert EXPERIMENT.measure(trials, TINY)[f"{SHORT}, trained"][0] is None
    assert EXPERIMENT.draw(trials, {}, LIGHT).axes


def gates_of(model: mr.nn.Module) -> list[Gate]:
    return [module for module in model.modules() if isinstance(module, Gate)]
