from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
pytestmark = pytest.mark.timeout(120)


def test_the_list_tells_claim_source_cost_and_status(minires: Command) -> None:
    done = minires("lab", COLUMNS="400")

    assert done.returncode == 0
    line = next(line for line in done.stdout.splitlines() if line.startswith("degradation"))
    assert "not run" in line
    assert "He et al. 2015" in line

    listed = json.loads(minires("lab", "--json", "--scale", "paper").stdout)
    assert listed["schema"] == "minires.lab.list/1"
    first = listed["experiments"][0]
    assert {"name", "title", "claims", "seconds", "status"} == set(first)
    assert {"claim", "source", "rule"} == set(first["claims"][0])


def test_an_experiment_is_run_reported_and_gone_on_with(minires: Command, tmp_path: Path) -> None:
    done = minires("lab", "run", "degradation", "--scale", "tiny", "--json", "--jobs", "2")

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["results"][0]["experiment"] == "degradation"
    assert len(done.stderr.splitlines()) > 10  # a line for each trial
    assert (tmp_path / "runs/lab-tiny/report.html").is_file()
    assert (tmp_path / "runs/lab-tiny/results/degradation.json").is_file()

    again = minires("lab", "run", "degradation", "--scale", "tiny")
    assert again.returncode == 0
    assert "seed 0" not in again.stderr  # nothing was left to be run
    assert "degradation" in again.stdout

    assert "not run" not in minires("lab", "--scale", "tiny").stdout.split("degradation")[1][:40]

    page = minires("lab", "report", "--scale", "tiny", "--html", "page.html")
    assert page.returncode == 0
    assert "<html" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["lab", "run", "nonsense"], "unknown experiment 'nonsense'; there are: degradation"),
        (["lab", "run"], "name an experiment"),
        (["lab", "run", "degradation", "--all"], "name an experiment"),
        (["lab", "run", "degradation", "--scale", "huge"], "--scale: expected tiny, small, paper"),
        (["lab", "run", "degradation", "--device", "cuda"], "--device"),
        (["lab", "claims", "Z99"], "unknown claim 'Z99'; there are: A1"),
        (["lab", "--scale", "huge"], "--scale: expected"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_done(
    minires: Command, arguments: list[str], told: str, tmp_path: Path
) -> None:
    done = minires(*arguments)

    assert done.returncode == 2
    assert told in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_report_without_results_says_what_to_run(minires: Command) -> None:
    done = minires("lab", "report")

    assert done.returncode == 1
    assert "minires lab run --all" in done.stderr


def test_images_that_are_missing_are_told_and_the_exit_code_is_1(
    minires: Command, tmp_path: Path
) -> None:
    done = minires("lab", "run", "degradation", "--scale", "paper", MINIRES_DATA=str(tmp_path))

    assert done.returncode == 1
    assert "the data set 'cifar10' is not in" in done.stderr
    assert "minires data get cifar10" in done.stderr
