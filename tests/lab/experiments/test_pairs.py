"""Experiments that compare trained networks: what is made of the trials."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minires import nn
from minires.lab.experiments import (
    depthwise_separable,
    forgetting,
    local_response_norm,
    stochastic_depth,
    width_and_depth,
)
from minires.lab.images import Images
from minires.models import cifar_resnet
from tests.lab.experiments.made import all_run, learned, outcomes, seeds


@pytest.mark.parametrize(
    "room",
    [
        depthwise_separable,
        forgetting,
        local_response_norm,
        stochastic_depth,
        width_and_depth,
    ],
    ids=lambda room: room.__name__.rpartition(".")[2],
)
def test_the_tiny_scale_runs_and_all_claims_are_judged(room: Any) -> None:
    assert len(outcomes(room.EXPERIMENT, all_run(room.EXPERIMENT))) >= 2


def constant_and_stochastic(constant: Any, stochastic: Any, ran: float) -> dict[str, Any]:
    return {
        stochastic_depth.CONSTANT: seeds(learned(*constant, survival=[], ran=1.0)),
        stochastic_depth.STOCHASTIC: seeds(
            learned(*stochastic, survival=[0.95, 0.75, 0.5], ran=ran)
        ),
    }


def test_stochastic_depth_is_judged_by_test_error_gap_and_what_ran() -> None:
    experiment = stochastic_depth.EXPERIMENT
    helped = constant_and_stochastic((0.0, 0.3), (0.05, 0.2), ran=0.75)
    hurt = constant_and_stochastic((0.1, 0.2), (0.0, 0.4), ran=1.0)

    assert outcomes(experiment, helped) == ["supports"] * 3
    assert outcomes(experiment, hurt) == ["contradicts"] * 3


def test_branches_that_run_are_counted() -> None:
    split = Images("digits", train=200, test=10).read()

    def share(probability: float) -> float:
        model = cifar_resnet(32, width=4, in_channels=1, seed=0, stochastic_depth=probability)
        return stochastic_depth._share_run(model, split)

    assert share(0.5) == pytest.approx(0.73, abs=0.04)
    assert share(0.2) == pytest.approx(0.89, abs=0.04)


def wide_and_deep(wide: dict[str, Any], deep: dict[str, Any]) -> dict[str, Any]:
    return {
        "wide": seeds(learned(0.1, **{"depth": 14, "width": 18, **wide})),
        "deep": seeds(learned(0.1, **{"depth": 56, "width": 8, **deep})),
    }


def test_width_and_depth_are_compared_at_one_size() -> None:
    experiment = width_and_depth.EXPERIMENT
    better = wide_and_deep({"test": 0.2, "images_per_second": 200.0}, {"test": 0.3})
    worse = wide_and_deep({"test": 0.4, "images_per_second": 50.0}, {"test": 0.3})
    larger = wide_and_deep({"test": 0.2, "parameters": 2000}, {"test": 0.3})

    assert outcomes(experiment, better) == ["supports"] * 2
    assert outcomes(experiment, worse) == ["contradicts"] * 2
    assert outcomes(experiment, larger)[0] == "contradicts"


@pytest.mark.parametrize(
    ("with_it", "judged"),
    [
        (0.25, ["supports", "contradicts"]),
        (0.30, ["inconclusive", "supports"]),
        (0.35, ["contradicts", "supports"]),
    ],
)
def test_at_most_one_of_two_papers_is_right(with_it: float, judged: list[str]) -> None:
    trials = {
        local_response_norm.WITHOUT: seeds(learned(0.1, 0.3)),
        local_response_norm.WITH: seeds(learned(0.1, with_it)),
    }
    assert outcomes(local_response_norm.EXPERIMENT, trials) == judged


def test_the_small_alexnets_start_from_the_same_numbers() -> None:
    from minires.devices import random

    networks = []
    for normed in (False, True):
        with random.seeded(0):
            networks.append(local_response_norm._network(3, 10, 8, normed))
    plain, normed_ = ([p.numpy() for p in network.parameters()] for network in networks)

    assert all((one == other).all() for one, other in zip(plain, normed_, strict=True))
    assert sum(isinstance(m, nn.LocalResponseNorm) for m in networks[1].modules()) == 2


def separable(small: float, wide: float) -> dict[str, Any]:
    return {
        "ordinary, width 4": seeds(learned(0.1, 0.4, macs=1000)),
        "ordinary, width 8": seeds(learned(0.1, 0.3, macs=4000)),
        "separable, width 4": seeds(learned(0.1, small, macs=200)),
        "separable, width 8": seeds(learned(0.1, wide, macs=700)),
    }


def test_separable_networks_are_compared_at_one_width_and_at_one_cost() -> None:
    experiment = depthwise_separable.EXPERIMENT

    assert outcomes(experiment, separable(0.45, 0.32)) == ["supports"] * 3
    assert outcomes(experiment, separable(0.3, 0.6))[1:] == ["contradicts", "contradicts"]


def forgotten(shallow: float, deep: float, half: int) -> dict[str, Any]:
    return {
        "ResNet-8": seeds({"errors": [0.5, 0.02, 0.02 + shallow], "before": 2, "half": 4}),
        "ResNet-20": seeds({"errors": [0.5, 0.02, 0.02 + deep], "before": 2, "half": half}),
    }


def test_forgetting_must_come_at_both_depths_alike() -> None:
    experiment = forgetting.EXPERIMENT

    assert outcomes(experiment, forgotten(0.9, 0.9, 5)) == ["supports"] * 2
    assert outcomes(experiment, forgotten(0.1, 0.9, 20)) == ["contradicts"] * 2


def test_each_task_has_its_own_digits() -> None:
    split = Images("digits", train=200, test=100).read()
    first = forgetting._only(split, range(5))

    assert set(np.unique(first.train.arrays[1])) == set(range(5))
    assert len(first.train) + len(forgetting._only(split, range(5, 10)).train) == 200
