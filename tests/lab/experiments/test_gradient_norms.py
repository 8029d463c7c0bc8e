from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.lab.experiments.gradient_norms import DOUBLING, EXPERIMENT, LEAST

TINY = EXPERIMENT.scales["tiny"]


def outcomes(trials: Any) -> list[str]:
    measured = EXPERIMENT.measure(trials, TINY)
    return [claim.rule.judge(measured).outcome for claim in EXPERIMENT.claims]


def made(
    plain: tuple[float, float],
    residual: tuple[float, float],
    *,
    gains: tuple[float, float],
    epochs: list[float],
    settled: float,
    errors: tuple[float, float],
) -> dict[str, list[dict[str, Any]]]:
    """Make up trials; pairs are of depths 8 and 20, blocks without and with BN, plain, residual."""
    trials: dict[str, dict[str, Any]] = {
        f"first step, {kind}-{depth}": {"ratio": ratio}
        for kind, ratios in (("plain", plain), ("residual", residual))
        for depth, ratio in zip((8, 20), ratios, strict=True)
    }
    for bn, gain in zip(("without BN", "with BN"), gains, strict=True):
        trials[f"blocks, {bn}"] = {"gain": gain}
        for kind, error in zip(("plain", "residual"), errors, strict=True):
            along = {"epochs": epochs, "settled": settled, "error": error}
            along |= {"least": min(epochs), "after": settled}
            trials[f"training, {kind} {bn}"] = {**along, "diverged": bn == "without BN"}
    return {condition: [trial] * 3 for condition, trial in trials.items()}


@pytest.fixture(scope="module")
def trials() -> dict[str, list[dict[str, Any]]]:
    return {
        condition: [
            json.loads(json.dumps(EXPERIMENT.run(condition, TINY, seed, "cpu"), allow_nan=False))
            for seed in range(3)
        ]
        for condition in EXPERIMENT.conditions(TINY)
    }


def test_the_tiny_scale_gives_every_quantity_that_the_rules_name(trials: Any) -> None:
    measured = EXPERIMENT.measure(trials, TINY)

    for claim in EXPERIMENT.claims:
        assert claim.rule.judge(measured).because
    assert len(measured[DOUBLING]) == 3


def test_the_gradient_on_its_way_back_is_that_of_the_first_blocks_input_over_the_last_output(
    trials: Any,
) -> None:
    split = TINY.images.read()
    model = mr.models.cifar_resnet(
        20, width=4, in_channels=1, seed=0, order="full_preactivation", norm="none"
    ).to("float64")
    images, labels = split.train.take(range(TINY.batch))
    x = model.conv1(mr.tensor(images.astype(np.float64))).detach().requires_grad_()
    out = model.layer3(model.layer2(model.layer1(x)))
    out.retain_grad()
    logits = model.fc(mr.ops.mean(mr.ops.relu(out), (2, 3)))
    mr.ops.cross_entropy(logits, labels).backward()

    expected = np.linalg.norm(x.grad.numpy()) / np.linalg.norm(out.grad.numpy())
    assert trials["blocks, without BN"][0]["sizes"][-1] == pytest.approx(expected, rel=5e-3)


def test_a_training_that_diverges_is_recorded_as_far_as_it_goes() -> None:
    wild = replace(TINY, without=replace(TINY.without, learning_rate=1e30))
    trial = EXPERIMENT.run("training, residual without BN", wild, 0, "cpu")

    assert trial["diverged"] is True
    assert json.dumps(trial, allow_nan=False)


def test_what_was_published_supports_all_claims() -> None:
    trials = made(
        (7.5, 3e6), (2.4, 20), gains=(2.0, 1.1), epochs=[0.5, 0.2], settled=1e-3, errors=(0.3, 0.1)
    )

    assert EXPERIMENT.measure(trials, TINY)[LEAST] == [0.2] * 3
    assert outcomes(trials) == ["supports"] * 6


def test_a_plain_network_that_has_not_learned_tells_nothing_of_trained_ones() -> None:
    trials = made(
        (7.5, 3e6),
        (2.4, 20),
        gains=(2.0, 1.1),
        epochs=[0.5, 1e-4],
        settled=1e-3,
        errors=(0.89, 0.1),
    )

    assert outcomes(trials)[1:3] == ["inconclusive"] * 2
    assert outcomes(trials)[4] == "inconclusive"


def test_gradients_that_vanish_and_plain_networks_that_learn_contradict_all_claims() -> None:
    trials = made(
        (0.5, 1e-6), (1, 1), gains=(1.0, 2.0), epochs=[0.5, 1e-4], settled=3.0, errors=(0.1, 0.8)
    )

    assert outcomes(trials) == ["contradicts"] * 6
