"""Experiments that compare trained networks: what is made of the trials."""

from __future__ import annotations

from dataclasses import replace
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
from minires.lab.learning import Recipe
from minires.lab.theme import LIGHT
from minires.models import CifarResNet, cifar_resnet
from minires.models.counting import count, without_values
from minires.training.runs.recipes import RECIPES
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
    wider = constant_and_stochastic((0.1, 0.2), (0.0, 0.2), ran=0.75)
    guessed = constant_and_stochastic((0.9, 0.95), (0.9, 0.9), ran=0.75)

    assert outcomes(experiment, helped) == ["supports"] * 3
    # A gap tells nothing of who errs more often; so does a smaller one.
    assert outcomes(experiment, hurt) == ["contradicts", "inconclusive", "contradicts"]
    small_gap = constant_and_stochastic((0.1, 0.4), (0.5, 0.5), ran=0.75)
    assert outcomes(experiment, small_gap)[:2] == ["contradicts", "inconclusive"]
    assert outcomes(experiment, wider)[1] == "contradicts"
    assert outcomes(experiment, guessed)[:2] == ["inconclusive"] * 2


def test_no_branches_of_a_diverged_network_are_counted() -> None:
    experiment = stochastic_depth.EXPERIMENT
    tiny = experiment.scales["tiny"]
    scale = replace(tiny, depth=8, recipe=replace(tiny.recipe, learning_rate=1e20))

    with np.errstate(all="ignore"):
        assert experiment.run(stochastic_depth.STOCHASTIC, scale, 0, "cpu")["ran"] is None


def test_branches_that_run_are_counted() -> None:
    split = Images("digits", train=200, test=10).read()

    def share(probability: float) -> float:
        model = cifar_resnet(32, width=4, in_channels=1, seed=0, stochastic_depth=probability)
        return stochastic_depth._share_run(model, split)

    assert share(0.5) == pytest.approx(0.73, abs=0.04)
    assert share(0.2) == pytest.approx(0.89, abs=0.04)


def wide_and_deep(
    wide: dict[str, Any], deep: dict[str, Any], faster: float = 2.0
) -> dict[str, Any]:
    return {
        "speed": seeds({"faster": [faster, faster, 50.0]}),
        "wide": seeds(learned(0.1, **{"depth": 14, "width": 18, **wide})),
        "deep": seeds(learned(0.1, **{"depth": 56, "width": 8, **deep})),
    }


def test_width_and_depth_are_compared_at_one_size() -> None:
    experiment = width_and_depth.EXPERIMENT
    better = wide_and_deep({"test": 0.2}, {"test": 0.3})
    worse = wide_and_deep({"test": 0.4}, {"test": 0.3}, faster=0.5)
    guessing = wide_and_deep({"test": 0.9}, {"test": 0.9})
    larger = wide_and_deep({"test": 0.2, "parameters": 2000}, {"test": 0.3})

    assert outcomes(experiment, better) == ["supports"] * 2
    assert outcomes(experiment, worse) == ["contradicts"] * 2
    assert outcomes(experiment, larger)[0] == "contradicts"
    assert outcomes(experiment, guessing)[0] == "inconclusive"


def test_wide_and_deep_networks_are_timed_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[int] = []

    def step(model: Any, *rest: Any) -> Any:
        layers = sum(p.ndim == 4 for p in model.parameters())
        return lambda: order.append(layers) or float(layers)

    monkeypatch.setattr(width_and_depth, "_step", step)
    scale = replace(width_and_depth.EXPERIMENT.scales["tiny"], pairs=3)
    faster = width_and_depth.EXPERIMENT.run("speed", scale, 0, "cpu")["faster"]

    assert order == [7, 19] * 4  # once each before it counts
    assert faster == [pytest.approx(19 / 7, rel=1e-3)] * 3


def test_a_timed_step_takes_time_and_changes_no_weight() -> None:
    split = Images("digits", train=20, test=10).read()
    model = cifar_resnet(8, width=4, in_channels=1, seed=0)
    before = model.fc.weight.numpy().copy()

    assert width_and_depth._step(model, split, Recipe(1), "cpu")() > 0
    np.testing.assert_array_equal(model.fc.weight.numpy(), before)


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


def test_networks_that_guess_tell_nothing_of_local_response_norm() -> None:
    trials = {
        local_response_norm.WITHOUT: seeds(learned(0.9)),
        local_response_norm.WITH: seeds(learned(0.9)),
    }
    assert outcomes(local_response_norm.EXPERIMENT, trials) == ["inconclusive"] * 2


def test_the_small_alexnets_start_from_the_same_numbers() -> None:
    from minires.devices import random

    networks = []
    for normed in (False, True):
        with random.seeded(0):
            networks.append(local_response_norm._network(3, 10, 8, normed))
    plain, normed_ = ([p.numpy() for p in network.parameters()] for network in networks)

    assert all((one == other).all() for one, other in zip(plain, normed_, strict=True))
    assert sum(isinstance(m, nn.LocalResponseNorm) for m in networks[1].modules()) == 2


def separable(
    wide: float, alike: float, *, macs: int = 950, ordinary: float = 0.3
) -> dict[str, Any]:
    return {
        "ordinary, width 4": seeds(learned(0.1, ordinary + 0.1, macs=1000)),
        "ordinary, width 8": seeds(learned(0.1, ordinary, macs=4000)),
        "separable, width 8": seeds(learned(0.1, wide, macs=700)),
        "separable, width 9": seeds(learned(0.1, alike, macs=macs)),
    }


def test_separable_networks_are_compared_at_one_width_and_at_one_cost() -> None:
    experiment = depthwise_separable.EXPERIMENT

    assert outcomes(experiment, separable(0.32, 0.32)) == ["supports"] * 3
    assert outcomes(experiment, separable(0.6, 0.6))[1:] == ["contradicts", "contradicts"]
    assert outcomes(experiment, separable(0.32, 0.32, macs=1200))[2] == "inconclusive"
    assert outcomes(experiment, separable(0.9, 0.9, ordinary=0.9))[1:] == ["inconclusive"] * 2


@pytest.mark.parametrize("name", ["tiny", "small", "paper"])
def test_one_separable_network_takes_as_many_operations_as_an_ordinary_one(name: Any) -> None:
    scale = depthwise_separable.EXPERIMENT.scales[name]
    image = {"tiny": (1, 8, 8), "small": (3, 16, 16), "paper": (3, 32, 32)}[name]

    def macs(kind: str, width: int) -> int:
        model = CifarResNet(
            6 * scale.blocks + 2,
            scale.blocks,
            depthwise_separable._BLOCKS[kind],
            width=width,
            in_channels=image[0],
        )
        return count(without_values(model), image).macs

    ordinary = macs("ordinary", min(scale.widths))
    assert any(0.9 < macs("separable", width) / ordinary < 1.1 for width in scale.separable)


def forgotten(shallow: float, deep: float, half: int, diverged: str = "") -> dict[str, Any]:
    def trial(rise: float, half: int) -> dict[str, Any]:
        return {
            "errors": [[0.5, 0.02], [0.02 + rise]],
            "steps": [(2, 0.1), (4, 0.02 + rise)],
            "half": half,
            "diverged": diverged,
        }

    return {"ResNet-8": seeds(trial(shallow, 40)), "ResNet-20": seeds(trial(deep, half))}


def test_forgetting_must_come_at_both_depths_alike() -> None:
    experiment = forgetting.EXPERIMENT

    assert outcomes(experiment, forgotten(0.9, 0.9, 50)) == ["supports"] * 2
    assert outcomes(experiment, forgotten(0.1, 0.9, 200)) == ["contradicts"] * 2
    ignorant = forgotten(0.1, 0.9, 200)
    for trial in ignorant["ResNet-20"]:
        trial["errors"] = [[0.7], [0.8]]
    assert outcomes(experiment, ignorant) == ["inconclusive"] * 2


def test_what_a_diverged_network_knew_before_is_not_taken_for_what_it_knows_now() -> None:
    experiment = forgetting.EXPERIMENT
    tiny = experiment.scales["tiny"]
    scale = replace(tiny, second=replace(tiny.second, learning_rate=1e20))
    with np.errstate(all="ignore"):
        trial = experiment.run("ResNet-8", scale, 0, "cpu")

    assert trial["errors"][1] == []
    assert trial["half"] is None
    trials = {"ResNet-8": seeds(trial), "ResNet-20": seeds(trial)}
    assert outcomes(experiment, trials) == ["inconclusive"] * 2


def test_the_error_on_the_first_task_is_measured_while_the_second_is_learned() -> None:
    experiment = forgetting.EXPERIMENT
    trial = experiment.run("ResNet-8", experiment.scales["tiny"], 0, "cpu")
    steps = [step for step, _ in trial["steps"]]

    assert steps == list(range(2, steps[-1] + 1, 2))
    assert len(trial["errors"][1]) == experiment.scales["tiny"].second.epochs


def test_each_task_has_its_own_digits() -> None:
    split = Images("digits", train=200, test=100).read()
    first = forgetting._only(split, range(5))

    assert set(np.unique(first.train.arrays[1])) == set(range(5))
    assert len(first.train) + len(forgetting._only(split, range(5, 10)).train) == 200


def test_papers_are_repeated_by_their_own_recipes() -> None:
    huang = stochastic_depth.EXPERIMENT.scales["paper"].recipe
    wide = width_and_depth.EXPERIMENT.scales["paper"].recipe
    stated = RECIPES["wrn"]

    assert (huang.epochs, huang.milestones, huang.factor) == (500, [250, 375], 0.1)
    assert (wide.epochs, wide.milestones) == (stated.epochs, list(stated.milestones))
    assert (wide.factor, wide.nesterov) == (stated.gamma, stated.nesterov)
    assert (wide.learning_rate, wide.weight_decay) == (stated.lr, stated.weight_decay)
    assert wide.batch_size == stated.batch_size


def test_a_first_seed_that_diverged_does_not_hide_the_others() -> None:
    def trial(*errors: float) -> dict[str, Any]:
        epochs = list(range(1, len(errors) + 1))
        return learned(0.9, epochs=epochs, train_error=errors, test_error=errors)

    names = (local_response_norm.WITHOUT, local_response_norm.WITH)
    trials = {name: [trial(), trial(0.5, 0.4), trial(0.6, 0.3)] for name in names}
    axes = local_response_norm.EXPERIMENT.draw(trials, {}, LIGHT).axes

    assert max(len(line.get_xdata()) for line in axes[0].lines) == 2  # type: ignore[arg-type]


def test_of_a_single_epoch_the_axis_has_one_and_the_mean_is_drawn() -> None:
    trial = learned(0.5, epochs=[1], train_error=[0.5], test_error=[0.5])
    trials = {
        name: seeds(trial) for name in (local_response_norm.WITHOUT, local_response_norm.WITH)
    }
    axes = local_response_norm.EXPERIMENT.draw(trials, {}, LIGHT).axes

    low, high = axes[0].get_xlim()
    assert [tick for tick in axes[0].get_xticks() if low <= tick <= high] == [1]
    assert [line.get_marker() for line in axes[0].lines if line.get_linewidth() == 2] == ["o"] * 2
