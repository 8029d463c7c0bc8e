from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minires import nn
from minires.data import TensorDataset
from minires.lab import surgery
from minires.lab.experiments import layer_responses, lesions
from minires.models import cifar_resnet
from minires.ops import randn
from tests.lab.experiments.made import all_run, outcomes, seeds

EXPERIMENT = lesions.EXPERIMENT


def test_the_tiny_scale_runs_from_end_to_end(tmp_path: Path) -> None:
    trials = all_run(EXPERIMENT)

    assert len(outcomes(EXPERIMENT, trials)) == 4
    given = trials[lesions.PRETRAINED][0]
    assert given["whole"] < 0.1
    assert sum(given["changes"]) == 2
    assert len(given["lost"]) == 9
    assert given["images"]["name"] == "digits, test images"
    assert given["images"]["weights"] == "cifar_resnet20_digits"


def made(graceful: bool) -> dict[str, Any]:
    """Return trials of networks that bear deletions well or badly."""
    rising = [(1, 0.1), (4, 0.35), (8, 0.6)] if graceful else [(1, 0.6), (4, 0.3), (8, 0.1)]
    orders = [(0.9, 0.1), (0.5, 0.4), (0.1, 0.7)] if graceful else [(0.9, 0.7), (0.1, 0.1)]
    lost = [0.01, 0.02, 0.3] if graceful else [0.5, 0.6, 0.01]
    changes = [False, False, True]
    twins = (0.88, 0.3) if graceful else (0.3, 0.8)
    return {
        lesions.PRETRAINED: seeds(
            {
                "whole": 0.0,
                "lost": lost,
                "changes": changes,
                "several": rising,
                "reordered": orders,
            }
        ),
        "plain twin": seeds({"whole": 0.2, "lost": [twins[0]] * 4}),
        "residual twin": seeds({"whole": 0.2, "lost": [twins[1]] * 4}),
    }


def test_graceful_loss_supports_and_the_opposite_contradicts() -> None:
    assert outcomes(EXPERIMENT, made(graceful=True)) == ["supports"] * 4
    assert outcomes(EXPERIMENT, made(graceful=False)) == ["contradicts"] * 4


@pytest.mark.parametrize(
    ("operation", "numbers", "ranks", "step", "perfect"),
    [
        ("several", (1, 2, 4, 8), lesions.DELETED, lesions.DELETED_STEP, 1),
        ("reordered", (0.9, 0.8, 0.7, 0.6), lesions.REORDERED, lesions.REORDERED_STEP, -1),
    ],
)
def test_an_error_that_leaps_is_not_smooth_however_well_it_ranks(
    operation: str, numbers: Any, ranks: str, step: str, perfect: float
) -> None:
    trials = made(graceful=True)
    for trial in trials[lesions.PRETRAINED]:
        trial[operation] = list(zip(numbers, (0.0, 0.01, 0.02, 0.9), strict=True))

    measured = EXPERIMENT.measure(trials, EXPERIMENT.scales["tiny"])
    assert measured[ranks] == pytest.approx([perfect] * 3)
    assert measured[step] == pytest.approx([0.88 / 0.9] * 3)
    assert outcomes(EXPERIMENT, trials)[3] == "contradicts"


def test_a_few_blocks_without_which_it_fails_speak_against_whatever_the_median_is() -> None:
    trials = made(graceful=True)
    for trial in trials[lesions.PRETRAINED]:
        trial["lost"], trial["changes"] = [0.0] * 5 + [0.9] * 4, [False] * 8 + [True]

    measured = EXPERIMENT.measure(trials, EXPERIMENT.scales["tiny"])
    assert measured[lesions.RISE] == [0.0] * 3
    assert measured[lesions.UNHARMED] == pytest.approx([5 / 9] * 3)
    assert outcomes(EXPERIMENT, trials)[0] == "contradicts"


def test_what_knows_nothing_can_lose_nothing() -> None:
    trials = made(graceful=True)
    for trial in trials[lesions.PRETRAINED]:
        trial["whole"], trial["lost"] = 0.9, [0.9] * 3

    assert outcomes(EXPERIMENT, trials)[0] == "inconclusive"


def test_a_network_is_as_before_when_the_operation_is_over() -> None:
    model = cifar_resnet(14, width=4, seed=0).eval()
    x = randn(2, 3, 8, 8)
    before = model(x).numpy().copy()
    blocks = surgery.blocks_of(model)

    with surgery.instead(blocks, {1: surgery.ShortcutAlone(blocks[1][2])}):
        assert (model(x).numpy() != before).any()
    assert (model(x).numpy() == before).all()


def test_a_block_without_its_branch_is_a_block_whose_last_scale_is_0() -> None:
    model = cifar_resnet(14, width=4, seed=0).eval()
    x = randn(2, 3, 8, 8)
    blocks = surgery.blocks_of(model)
    with surgery.instead(blocks, {2: surgery.ShortcutAlone(blocks[2][2])}):
        deleted = model(x).numpy().copy()
    nn.init.zeros_(blocks[2][2].bn2.weight)

    np.testing.assert_allclose(deleted, model(x).numpy(), atol=1e-6)


def test_swaps_stay_within_stages() -> None:
    model = cifar_resnet(32, width=4, seed=0)
    blocks = surgery.blocks_of(model)
    order = surgery.swapped(blocks, [1, 2, 3, 4, 6, 7, 8, 9], 20, np.random.default_rng(0))

    assert sorted(order) == list(range(15))
    assert order[0] == 0
    assert all(blocks[i][0] is blocks[j][0] for i, j in enumerate(order))


@pytest.mark.parametrize(
    ("order", "tau"), [([0, 1, 2, 3], 1), ([3, 2, 1, 0], -1), ([1, 0, 2, 3], 2 / 3)]
)
def test_kendalls_tau(order: list[int], tau: float) -> None:
    from scipy.stats import kendalltau

    assert surgery.kendall(order) == pytest.approx(tau)
    assert surgery.kendall(order) == pytest.approx(kendalltau(range(4), order).statistic)


def test_the_error_is_the_share_of_wrong_images() -> None:
    class Always(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(randn(1))

        def forward(self, x: Any) -> Any:
            return x.reshape(x.shape[0], -1)[:, :10]

    pixels = np.zeros((150, 3, 8, 8), np.float32)
    pixels[:, 0, 0, 4] = 1

    assert surgery.error_of(Always(), TensorDataset(pixels, np.arange(150) % 10)) == 0.9


def responses(shallow: float, deep: float, plain: float, residual: float) -> dict[str, Any]:
    values = {
        "pretrained, shallow": shallow,
        "pretrained, deep": deep,
        "plain twin": plain,
        "residual twin": residual,
    }
    return {
        name: seeds({"responses": [value] * 5, "test_error": 0.3}) for name, value in values.items()
    }


def test_responses_are_compared_by_depth_and_with_plain() -> None:
    experiment = layer_responses.EXPERIMENT

    assert outcomes(experiment, responses(0.5, 0.3, 0.8, 0.4)) == ["supports"] * 2
    assert outcomes(experiment, responses(0.3, 0.5, 0.4, 0.8)) == ["contradicts"] * 2


@pytest.mark.parametrize("lost", ["learning", "responses"])
def test_twins_that_have_not_learned_or_overflow_tell_nothing(lost: str) -> None:
    trials = responses(0.5, 0.3, 0.8, 0.4)
    if lost == "learning":
        trials["plain twin"][1]["test_error"] = 0.9
        trials["residual twin"][2]["test_error"] = 0.85
    else:
        trials["residual twin"][0]["responses"] = [None] * 5

    assert outcomes(layer_responses.EXPERIMENT, trials) == ["supports", "inconclusive"]


def test_every_3x3_layer_has_a_response_and_it_is_that_of_its_norm() -> None:
    trials = all_run(layer_responses.EXPERIMENT)
    assert len(trials["pretrained, deep"][0]["responses"]) == 19
    assert trials["pretrained, deep"][0]["images"]["weights"] == "cifar_resnet20_digits"

    model = cifar_resnet(8, "B", width=4, seed=0).eval()
    x = randn(4, 3, 8, 8)
    with layer_responses._Responses() as seen:
        model(x)
    assert len(seen.found) == 7  # projections are 1x1
    assert seen.found[0] == pytest.approx(float(model.bn1(model.conv1(x)).numpy().std()))
