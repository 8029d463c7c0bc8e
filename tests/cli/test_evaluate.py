from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minires.training.runs import configured, train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        config = configured(
            "cifar_resnet8", "digits", epochs=1, seed=seed, model_options={"width": 2}
        )
        train(config, folder / f"seed{seed}")
    (folder / "sweep.csv").touch()
    return folder


def test_one_run_is_told_in_a_line(minires: Callable[..., Any], trained: Path) -> None:
    done = minires("evaluate", "--run", trained / "seed0")

    assert done.returncode == 0
    head, row = done.stdout.splitlines()
    assert head.split() == ["run", "images", "test", "error", "loss"]
    assert row.split()[:2] == ["seed0", "359"]
    assert done.stderr == ""


def test_the_folder_alone_will_do(minires: Callable[..., Any], trained: Path) -> None:
    done = minires("evaluate", trained / "seed0")

    assert done.returncode == 0
    assert done.stdout == minires("evaluate", "--run", trained / "seed0").stdout


def test_a_run_that_is_not_finished_is_judged_and_told_so(
    minires: Callable[..., Any], trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained / "seed0", tmp_path / "a")
    (tmp_path / "a" / "result.json").unlink()

    done = minires("evaluate", "a")

    assert done.returncode == 0
    assert done.stderr == "minires: the run in a is not finished\n"


def test_an_ensemble_leaves_out_a_run_without_weights_and_says_so(
    minires: Callable[..., Any], trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "early").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "early" / "config.json").write_bytes((trained / "seed0/config.json").read_bytes())

    done = minires("evaluate", "--ensemble", trained / "*", "early", "empty", "--json")

    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        "minires: early is left out: it has no best.safetensors yet\n"
        "minires: empty is left out: there is no run in it\n"
    )
    names = [score["name"] for score in json.loads(done.stdout)["scores"]]
    assert names == ["seed0", "seed1", "ensemble"]


def test_an_ensemble_of_nothing_or_of_a_wrong_path_is_a_mistake(
    minires: Callable[..., Any], trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    for paths in (["empty"], [trained / "seed0", "nowhere"]):
        done = minires("evaluate", "--ensemble", *paths)
        assert done.returncode == 1
        assert done.stderr.startswith(f"minires: there is no run in '{paths[-1]}'")


def test_a_damaged_file_is_told_as_one(
    minires: Callable[..., Any], trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained / "seed0", tmp_path / "a")
    for name, which in (("last.safetensors", "last"), ("best.safetensors", "best")):
        (tmp_path / "a" / name).write_bytes(b"damaged")
        done = minires("evaluate", "a", "--which", which)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert name in line
        assert "--help" not in line


def test_several_processes_would_each_do_all_of_it(
    minires: Callable[..., Any], trained: Path
) -> None:
    done = minires("evaluate", trained / "seed0", PMI_SIZE="2", PMI_RANK="0")
    assert done.returncode == 2
    assert "mpiexec started 2 processes" in done.stderr
    assert minires("evaluate", trained, PMI_SIZE="2", PMI_RANK="1").stderr == ""


@pytest.mark.parametrize("spread", [True, False])
def test_an_ensemble_is_named_by_a_pattern_that_a_shell_spreads_or_not(
    minires: Callable[..., Any], trained: Path, spread: bool
) -> None:
    paths = sorted(trained.iterdir()) if spread else [trained / "*"]
    done = minires("evaluate", "--ensemble", *paths, "--json")
    told = json.loads(done.stdout)

    assert told["schema"] == "minires.evaluate/1"
    assert [score["name"] for score in told["scores"]] == ["seed0", "seed1", "ensemble"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "the folder of a run is missing, or --ensemble"),
        (["--run", "{}/seed0", "--crops", "3"], "--crops: expected 1, 5, 10, found 3"),
        (
            ["--run", "{}/seed0", "--crops", "10"],
            "--crops: the images are as large as those trained",
        ),
        (["--run", "{}/seed0", "--scales", "8,big"], "--scales: expected whole numbers"),
        (["--run", "{}/seed0", "--scales", "-8"], "--scales: expected sizes in pixels"),
        (["--run", "{}/seed0", "--part", "train"], "--part: expected test or validation"),
        (["--run", "{}/seed0", "--which", "first"], "--which: expected best or last"),
        (["--run", "{}/seed0", "--part", "validation"], "--part: the run kept nothing"),
        (["--run", "{}/seed0", "--device", "tpu"], "--device: "),
        (["--run", "{}/seed0", "--run", "{}/seed1"], "--run names one run; several are named by"),
        (["--run", "{}/seed0", "{}/seed1"], "several runs are named by --ensemble"),
    ],
)
def test_bad_values_are_told_in_a_line(
    minires: Callable[..., Any], trained: Path, arguments: list[str], sentence: str
) -> None:
    done = minires("evaluate", *(argument.format(trained) for argument in arguments))

    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_a_run_without_weights_is_told_so(
    minires: Callable[..., Any], trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_bytes((trained / "seed0" / "config.json").read_bytes())
    done = minires("evaluate", "--run", tmp_path)

    assert done.returncode == 1
    assert "has no best.safetensors yet" in done.stderr
