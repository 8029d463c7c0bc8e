"""The benchmarks of whole trainings: which commands they run, and what is made of the outcomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import whole_runs


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Make up what a run comes to: the test error is a hundredth of the seed."""
    asked: dict[str, str] = {}

    def run(command: str, folder: Path) -> dict[str, Any]:
        asked[folder.name] = command
        seed, better = int(command.split()[-1]), "--weights" in command
        rate = 0.001 * ("--lr 0.03" in command)
        return {
            "test_error": seed / 100 - 0.005 * better - rate,
            "validation_error": seed / 100 + rate,
            "seconds": 60.0 * seed,
        }

    monkeypatch.setattr(whole_runs, "_run", run)
    return asked


def test_mnist_is_told_as_a_mean_over_seeds(outcomes: dict[str, str], tmp_path: Path) -> None:
    measured = dict(whole_runs.mnist(tmp_path))

    assert measured["all seeds"]["mean_test_accuracy"] == pytest.approx(0.98)
    assert measured["all seeds"]["least_test_accuracy"] == pytest.approx(0.97)
    assert measured["all seeds"]["longest_seconds"] == 180
    assert outcomes["mnist-2"] == f"{whole_runs.MNIST} --seed 2"


def test_each_way_of_learning_takes_the_rate_that_validation_prefers(
    outcomes: dict[str, str], tmp_path: Path
) -> None:
    images = tmp_path / "images.npz"
    np.savez(images, x=np.arange(40 * 64, dtype=np.uint8).reshape(40, 8, 8), y=np.arange(40) % 2)

    measured = dict(whole_runs.fine_tuning(images, "cifar_resnet20", tmp_path))

    for source in ("MNIST", "CIFAR-10"):
        beside = measured[f"{source}: fine-tuned beside from scratch"]
        # With the rate 0.03 the test errors were smaller, and the validation errors larger.
        assert beside["from_scratch_test_error"] == pytest.approx(0.02)
        assert beside["fine_tuned_test_error"] == pytest.approx(0.015)
        assert beside["seeds_in_which_fine_tuning_is_better"] == beside["seeds"] == 5
    assert not any("--weights" in outcomes[name] for name in outcomes if "scratch" in name)
    assert "--weights cifar_resnet20" in outcomes["few-CIFAR-10-fine-tuned-0.1-0"]
    with np.load(tmp_path / "coloured.npz") as coloured, np.load(images) as grey:
        np.testing.assert_array_equal(coloured["x"][:, 2], grey["x"])


def test_a_run_is_a_command_of_minires_and_is_gone_on_with(tmp_path: Path) -> None:
    images = tmp_path / "images.npz"
    rng = np.random.default_rng(0)
    np.savez(images, x=rng.integers(0, 256, (40, 8, 8), np.uint8), y=np.arange(40) % 2)
    command = (
        f"minires train --model cifar_resnet8 --width 4 --dataset {images} --epochs 1 --seed 3"
    )

    once = whole_runs._run(command, tmp_path / "run")
    again = whole_runs._run(command, tmp_path / "run")

    assert once == again
    assert (once["seed"], once["epochs"]) == (3, 1)
