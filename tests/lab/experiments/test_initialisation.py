from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.lab.experiments.initialisation import (
    EXPERIMENT,
    HALVED,
    mean_squares,
    network,
)

TINY = EXPERIMENT.scales["tiny"]


def outcomes(trials: Any) -> list[str]:
    measured = EXPERIMENT.measure(trials, TINY)
    return [claim.rule.judge(measured).outcome for claim in EXPERIMENT.claims]


def made(**networks: tuple[float, list[float]]) -> dict[str, list[dict[str, Any]]]:
    """Make up trials: by what each layer multiplies the variance, and errors by epoch."""
    return {
        name.replace("_", "-"): [
            {
                "mean_squares": [factor**layer for layer in range(20)],
                "epochs": [1, 2, 3],
                "train_error": errors,
                "final_train_error": errors[-1],
                "diverged": False,
                "guessing": 0.9,
            }
        ]
        * 3
        for name, (factor, errors) in networks.items()
    }


def weights(model: mr.nn.Module) -> list[Any]:
    return [module.weight.numpy() for module in model if isinstance(module, mr.nn.Linear)]


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
    assert measured[HALVED] == pytest.approx([0.5] * 3, rel=1e-3)


def test_both_starts_draw_the_same_numbers_and_differ_in_their_scale_alone() -> None:
    split = TINY.images.read()
    he, xavier = (weights(network(start, 5, 16, split, seed=3)) for start in ("He", "Xavier"))

    assert [weight.shape for weight in he] == [(16, 64), (16, 16), (16, 16), (16, 16), (10, 16)]
    for large, small in zip(he, xavier, strict=True):
        fan_out, fan_in = large.shape
        scale = math.sqrt(fan_in / (fan_in + fan_out))
        np.testing.assert_allclose(small, large * scale, rtol=1e-6)


def test_mean_squares_are_those_of_each_hidden_layer_before_its_relu() -> None:
    split = TINY.images.read()
    model = network("He", 5, 16, split, seed=0)
    x = split.train.take(range(8))[0].reshape(8, -1)
    expected = []
    for weight in weights(model)[:-1]:
        x = x @ weight.T
        expected.append(float((x**2).mean()))
        x = np.maximum(x, 0)

    assert mean_squares(model, split, 8, "cpu") == pytest.approx(expected, rel=1e-3)


def test_what_was_published_supports_all_claims() -> None:
    trials = made(
        He_8=(1.0, [0.5, 0.3, 0.2]),
        Xavier_8=(0.5, [0.9, 0.5, 0.2]),
        He_20=(1.0, [0.8, 0.5, 0.3]),
        Xavier_20=(0.5, [0.9, 0.9, 0.9]),
    )

    assert outcomes(trials) == ["supports"] * 3


def test_moderate_networks_must_converge_from_both_starts() -> None:
    trials = made(
        He_8=(1.0, [0.9, 0.8, 0.88]),
        Xavier_8=(0.5, [0.9, 0.85, 0.2]),
        He_20=(1.0, [0.8, 0.5, 0.3]),
        Xavier_20=(0.5, [0.9, 0.9, 0.9]),
    )

    assert outcomes(trials)[1] == "contradicts"


def test_networks_that_learn_from_xaviers_start_alone_contradict_all_claims() -> None:
    trials = made(
        He_8=(1.0, [0.9, 0.9, 0.9]),
        Xavier_8=(1.0, [0.5, 0.3, 0.2]),
        He_20=(2.0, [0.9, 0.9, 0.9]),
        Xavier_20=(2.0, [0.8, 0.5, 0.3]),
    )

    assert outcomes(trials) == ["contradicts"] * 3
