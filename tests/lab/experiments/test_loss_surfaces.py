from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.lab.experiments.loss_surfaces import EXPERIMENT
from minires.lab.loss_slices import direction, loss_slice, not_convex
from minires.lab.theme import LIGHT

TINY = EXPERIMENT.scales["tiny"]
GRID = np.linspace(-1, 1, 15)


def surface(height: Callable[..., Any]) -> list[list[float]]:
    return height(*np.meshgrid(GRID, GRID)).tolist()  # type: ignore[no-any-return]


BOWL = surface(lambda x, y: x**2 + 3 * y**2 + x * y)
CHAOS = surface(lambda x, y: x**2 + np.sin(9 * x) * np.sin(8 * y))


def outcomes(trials: Any) -> list[str]:
    measured = EXPERIMENT.measure(trials, TINY)
    return [claim.rule.judge(measured).outcome for claim in EXPERIMENT.claims]


def made(train_error: float = 0.0, **found: tuple[Any, float]) -> dict[str, list[dict[str, Any]]]:
    """Make up trials from each network's surface and test error."""
    return {
        name.replace("_", "-"): [
            {"losses": losses, "train_error": train_error, "test_error": error}
        ]
        * 3
        for name, (losses, error) in found.items()
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


def test_the_middle_of_a_slice_is_the_network_itself_which_is_left_as_it_was() -> None:
    split = TINY.images.read()
    model = mr.models.cifar_resnet(8, width=4, in_channels=1, seed=0).eval()
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    losses = loss_slice(model, split, TINY.points, TINY.seen, 0, "cpu")

    images, labels = split.train.take(range(TINY.seen))
    with mr.no_grad():
        loss = mr.ops.cross_entropy(model(mr.tensor(images)), labels).item()
    assert losses[2, 2] == pytest.approx(loss, rel=1e-6)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


def test_a_direction_does_not_see_how_long_the_network_has_made_its_filters() -> None:
    weight = np.random.default_rng(1).standard_normal((3, 2, 3, 3))
    scales = np.array([0.1, 1.0, 10.0]).reshape(3, 1, 1, 1)
    one, two = (direction(each, np.random.default_rng(0)) for each in (weight, weight * scales))

    np.testing.assert_allclose(one * scales, two)


def test_what_curves_down_is_as_the_second_derivatives_say() -> None:
    assert not_convex(BOWL) == 0
    # A sine curves down where it is above zero.
    waves = surface(lambda x, y: np.sin(5 * x + 0.2) + 0 * y)
    assert not_convex(waves) == pytest.approx(np.mean(np.sin(5 * GRID[1:-1] + 0.2) > 0))


def test_what_is_not_finite_is_not_convex() -> None:
    hole = [[None if (i, j) == (7, 7) else v for j, v in enumerate(r)] for i, r in enumerate(BOWL)]

    assert not_convex(hole) == pytest.approx(9 / 13**2)


def test_chaos_around_deep_plain_networks_alone_supports_all_claims() -> None:
    trials = made(
        residual_8=(BOWL, 0.1), plain_8=(BOWL, 0.1), residual_14=(BOWL, 0.1), plain_14=(CHAOS, 0.3)
    )

    assert outcomes(trials) == ["supports"] * 4
    assert EXPERIMENT.draw(trials, EXPERIMENT.measure(trials, TINY), LIGHT).axes


def test_slices_around_networks_that_guess_tell_nothing() -> None:
    trials = made(
        0.85,
        residual_8=(BOWL, 0.8),
        plain_8=(BOWL, 0.8),
        residual_14=(BOWL, 0.8),
        plain_14=(CHAOS, 0.9),
    )

    assert outcomes(trials) == ["inconclusive"] * 4


def test_around_a_diverged_network_nothing_is_sliced() -> None:
    scale = replace(TINY, recipe=replace(TINY.recipe, learning_rate=1e20))
    with np.errstate(all="ignore"):
        trial = EXPERIMENT.run("plain-8", scale, 0, "cpu")

    assert {loss for row in trial["losses"] for loss in row} == {None}
    trials = {condition: [trial] * 3 for condition in EXPERIMENT.conditions(TINY)}
    assert outcomes(trials) == ["inconclusive"] * 4
    assert EXPERIMENT.draw(trials, EXPERIMENT.measure(trials, TINY), LIGHT).axes


def test_chaos_around_all_others_contradicts_all_claims() -> None:
    trials = made(
        residual_8=(CHAOS, 0.1),
        plain_8=(CHAOS, 0.1),
        residual_14=(CHAOS, 0.3),
        plain_14=(BOWL, 0.1),
    )

    assert outcomes(trials) == ["contradicts"] * 4
