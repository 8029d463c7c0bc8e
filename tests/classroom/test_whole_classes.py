"""Whole classes, graded by real processes: in any order, beside each other, and broken off."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.classroom import synthetic

if sys.platform != "linux":
    pytest.skip("submissions of others are graded on Linux", allow_module_level=True)

from minires.classroom.running.isolation import IsolationError, missing_guards

try:
    missing_guards()
except IsolationError as error:
    pytest.skip(str(error), allow_module_level=True)

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What 24 students handed in, each for one of two assignments."""
    of = ("a0_warm_up", "a3_batch_norm")
    return synthetic(tmp_path_factory.mktemp("class"), 24, seed=3, of=of)


def command(folder: Path, assignment: str, out: Path, jobs: int) -> list[str]:
    return [
        *(sys.executable, "-m", "minires", "class", "grade", str(folder), "--json"),
        *("--assignment", assignment, "--out", str(out), "--jobs", str(jobs)),
    ]


def results_of(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    told: list[dict[str, Any]] = json.loads(done.stdout)["submissions"]
    return sorted(told, key=lambda each: str(each["id"]))


def run(arguments: list[str]) -> list[dict[str, Any]]:
    return results_of(subprocess.run(arguments, capture_output=True, text=True, check=False))


def test_results_depend_on_neither_order_nor_company_nor_jobs(
    handed_in: dict[str, Path], tmp_path: Path
) -> None:
    for name, folder in handed_in.items():
        together = run(command(folder, name, tmp_path / name, 2))
        mirrored = tmp_path / f"{name}-mirrored"
        mirrored.mkdir()
        found = sorted(folder.iterdir())
        for number, path in enumerate(reversed(found)):  # the last comes first
            (mirrored / f"{number:03d}{path.suffix}").symlink_to(path)
        one_by_one = run(command(mirrored, name, tmp_path / f"{name}-alone", 1))
        assert len(together) == len(found)
        for each, other in zip(together, reversed(one_by_one), strict=True):
            assert {**each, "id": ""} == {**other, "id": ""}


def test_a_grading_that_is_killed_goes_on_to_the_same_results(
    handed_in: dict[str, Path], tmp_path: Path
) -> None:
    name, folder = next(iter(handed_in.items()))
    whole = run(command(folder, name, tmp_path / "whole", 2))
    out = tmp_path / "killed"
    process = subprocess.Popen(
        command(folder, name, out, 2),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while process.poll() is None and len(list((out / "results").glob("*.json"))) < 2:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = {path: path.stat().st_mtime_ns for path in (out / "results").glob("*.json")}
    assert 2 <= len(done) < len(whole)

    assert run(command(folder, name, out, 2)) == whole

    assert all(path.stat().st_mtime_ns == at for path, at in done.items())
    assert not list(out.rglob("*.tmp"))
