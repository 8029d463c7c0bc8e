from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

import pytest

from minires.training.runs import Metrics, MetricsLog, RunConfig, write_config
from minires.training.runs.shallower import Shallower, shallower_beside
from minires.training.runs.verdict import FEWEST, judge
from tests.training.runs.curves import config, planted

FALLING = [2.0 * 0.85**epoch for epoch in range(40)]


def beside(errors: list[float], depth: int = 8) -> Shallower:
    return Shallower(f"plain{depth}", depth, planted([1.0] * 40, train_error=errors).epochs)


def test_a_validation_loss_that_turns_and_rises_is_overfitting() -> None:
    turning = [1.0 + 0.02 * abs(epoch - 15) for epoch in range(40)]

    verdict = judge(planted(FALLING, turning), config())

    assert verdict.kind == "overfitting"
    assert "lowest, 1.02, about epoch 15; now it is 1.46, 43 % more." in verdict.details[0]
    assert "a gap of 14.6 percentage points" in verdict.details[1]


def test_a_gap_that_stays_is_overfitting_too() -> None:
    trained = [0.5 * 0.8**epoch for epoch in range(40)]
    others = [0.3 + 0.3 * 0.5**epoch for epoch in range(40)]

    verdict = judge(planted(FALLING, [1.0] * 40, trained, list(others)), config())

    assert verdict.kind == "overfitting"
    assert "30.0%" in verdict.details[0]


def test_a_gap_that_still_closes_is_not() -> None:
    others = [0.9 - 0.01 * epoch for epoch in range(40)]

    verdict = judge(planted(FALLING, FALLING, [0.01] * 40, list(others)), config())

    assert verdict.kind == "neither"


@pytest.mark.parametrize("seed", range(20))
def test_noise_about_a_validation_loss_that_falls_is_not_overfitting(seed: int) -> None:
    draw = random.Random(seed)
    noisy = [0.5 + 2 * 0.9**epoch * draw.uniform(0.6, 1.6) for epoch in range(40)]

    assert judge(planted(FALLING, noisy), config()).kind == "neither"


def test_a_rise_of_two_epochs_is_not_yet_overfitting() -> None:
    turned = [*(2 - 0.1 * epoch for epoch in range(10)), 1.5, 1.6]

    verdict = judge(planted(FALLING[:12], turned, validation_error=[0.05] * 12), config())

    assert verdict.kind == "neither"


def test_a_validation_loss_that_rises_with_the_training_loss_is_not_overfitting() -> None:
    both = [1.0 + 0.01 * abs(epoch - 15) for epoch in range(40)]

    assert judge(planted(both, both), config()).kind != "overfitting"


def test_a_deeper_network_with_a_higher_training_error_shows_degradation() -> None:
    errors = [0.2 + 0.7 * 0.8**epoch for epoch in range(40)]
    shallower = [beside([0.1] * 40, 8), beside([0.15] * 40, 14)]

    verdict = judge(planted(FALLING, FALLING, errors), config(), shallower)

    assert verdict.kind == "degradation"
    assert "'plain8', the same run with 8 layers, has 10.0%" in verdict.details[0]
    assert "not overfitting" in verdict.details[2]


def test_networks_are_compared_at_an_epoch_that_both_have() -> None:
    early = [0.5 - 0.04 * epoch for epoch in range(10)]
    whole = [0.5 - 0.0125 * epoch for epoch in range(40)]
    shallower = [beside([0.5 - 0.0124 * epoch for epoch in range(40)])]

    assert judge(planted(FALLING, FALLING, whole), config(), shallower).kind == "neither"
    assert judge(planted(FALLING[:10], None, early), config(), shallower).kind == "neither"


def test_a_shallower_network_that_is_hardly_better_shows_none() -> None:
    errors = [0.05] * 40

    assert judge(planted(FALLING, FALLING, errors), config(), [beside([0.041] * 40)]).kind == (
        "neither"
    )


def test_a_training_error_that_stands_still_is_underfitting_perhaps_degradation() -> None:
    stuck = [0.35 + 0.5 * 0.5**epoch for epoch in range(40)]

    alone = judge(planted(FALLING, FALLING, stuck, list(stuck)), config())
    compared = judge(planted(FALLING, FALLING, stuck, list(stuck)), config(), [beside([0.4] * 40)])
    falling = judge(
        planted(FALLING, FALLING, [0.9 - 0.01 * epoch for epoch in range(40)]), config()
    )

    assert (alone.kind, falling.kind) == ("underfitting", "neither")
    assert "a run with fewer layers tells" in alone.details[2]
    assert "Depth alone is hardly the cause" in compared.details[2]


def test_of_mixed_up_images_the_training_error_says_nothing() -> None:
    mixed = config(mixup=0.2)
    stuck = [0.35] * 40

    assert judge(planted(FALLING, FALLING, stuck), mixed, [beside([0.1] * 40)]).kind == "neither"


@pytest.mark.parametrize(
    "rising", [[1.0, 1.2, 1.5, 2.0, 3.0, 4.0], [2.3, 1.0, 9.0, 9.0, 9.0], [1.0, 9.0, 9.0]]
)
def test_a_training_loss_above_its_beginning_is_divergence(rising: list[float]) -> None:
    assert judge(planted(rising), config()).kind == "diverged"


def test_a_loss_far_above_that_of_the_first_step_is_divergence_after_a_single_epoch() -> None:
    metrics = planted([1.5e18])
    metrics.steps[0] = replace(metrics.steps[0], loss=2.4)

    verdict = judge(metrics, config())

    assert verdict.kind == "diverged"
    assert "was 2.4 in the first step and is 1.5e+18 now" in verdict.details[0]


def test_a_run_stopped_for_a_loss_that_is_no_number_has_diverged() -> None:
    verdict = judge(Metrics(), config(), diverged="step 3: the loss is NaN")

    assert verdict.kind == "diverged"
    assert verdict.details == ["step 3: the loss is NaN"]


@pytest.mark.parametrize("epochs", range(FEWEST))
def test_few_epochs_are_too_short_to_tell(epochs: int) -> None:
    rising = [1.0, 2.0, 3.0, 4.0]

    assert judge(planted(FALLING[:epochs], rising[:epochs]), config()).kind == "too short"


def test_healthy_curves_show_neither() -> None:
    verdict = judge(planted(FALLING, [1.1 * loss for loss in FALLING]), config())

    assert verdict.kind == "neither"
    assert "percentage point" in verdict.details[0]


def test_without_validation_it_is_said_that_overfitting_cannot_be_seen() -> None:
    verdict = judge(planted(FALLING), config())

    assert verdict.kind == "neither"
    assert verdict.headline.startswith("No degradation; overfitting cannot be told")
    assert "overfitting cannot be seen" in verdict.details[0]


def run_in(folder: Path, options: RunConfig, errors: list[float]) -> Path:
    folder.mkdir()
    write_config(options, folder)
    with MetricsLog(folder) as log:
        for line in planted([1.0] * len(errors), train_error=errors).epochs:
            log.write(line)
    return folder


def test_only_runs_that_differ_in_depth_alone_are_compared(tmp_path: Path) -> None:
    deep = run_in(tmp_path / "deep", config("cifar_plain56"), [0.5] * 6)
    run_in(tmp_path / "b", config("cifar_plain20", threads=2), [0.4] * 6)
    run_in(tmp_path / "a", config("cifar_plain8"), [0.3] * 6)
    run_in(tmp_path / "deeper", config("cifar_plain110"), [0.1] * 6)
    run_in(tmp_path / "residual", config("cifar_resnet20"), [0.1] * 6)
    run_in(tmp_path / "slower", config("cifar_plain20", lr=0.01), [0.1] * 6)
    run_in(tmp_path / "broken", config("cifar_plain20"), [0.1] * 6)
    (tmp_path / "broken" / "config.json").write_text("{")

    found = shallower_beside(deep, config("cifar_plain56", checkpoint_blocks=True))

    assert [(each.name, each.depth) for each in found] == [("a", 8), ("b", 20)]
    assert math.isclose(found[0].epochs[-1].train_error, 0.3)
    assert shallower_beside(deep, config("alexnet")) == []
