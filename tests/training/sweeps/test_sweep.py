from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minires.serialize import load
from minires.training.runs import read_metrics, read_result, train
from minires.training.sweeps import Outcome, outcome_of, run_sweep, trials_of
from minires.training.sweeps import sweep as sweeping

FIXED: dict[str, Any] = {
    "model": "cifar_resnet8",
    "dataset": "digits",
    "epochs": 1,
    "val_split": 0.2,
    "width": 2,
}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_runs_are_trained_one_that_fails_is_told_and_the_rest_is_done_later(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (20, 1, 8, 8), np.uint8)
    data = tmp_path / "later.npz"
    trials = trials_of({**FIXED, "dataset": ["digits", str(data)]})
    told: list[Outcome] = []
    folder = tmp_path / "sweep"

    good, failed = run_sweep(trials, folder, jobs=2, told=told.append) or []

    assert not good.failure
    assert good.best is not None
    assert "later.npz" in failed.failure
    assert failed.best is None
    assert "Traceback" in (folder / failed.name / "failure.txt").read_text()
    assert {outcome.name for outcome in told} == {good.name, failed.name}
    before = contents(folder / good.name)

    np.savez(data, x=x, y=np.arange(20) % 2)
    again, mended = run_sweep(trials, folder, jobs=2) or []

    assert not mended.failure
    assert not (folder / mended.name / "failure.txt").exists()
    assert again == replace(good, was_finished=True)
    assert contents(folder / good.name) == before


def test_a_run_of_a_sweep_is_the_run_that_train_makes(tmp_path: Path) -> None:
    (trial,) = trials_of(FIXED)
    run_sweep([trial], tmp_path / "sweep")
    train(trial.config, tmp_path / "alone")

    swept, alone = (
        load(folder / "best.safetensors")
        for folder in (tmp_path / "sweep" / trial.name, tmp_path / "alone")
    )
    assert all(np.allclose(swept[name], alone[name], atol=1e-6) for name in alone)


def test_no_two_processes_train_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl", reason="Windows has no such locks")
    (trial,) = trials_of(FIXED)
    task = sweeping._Task(trial.config, str(tmp_path / trial.name), 1)

    def train(config: Any, folder: Path, *, resume: bool) -> None:
        (lock,) = tmp_path.glob(".*.lock")
        with lock.open("ab") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        folder.mkdir()

    monkeypatch.setattr(sweeping, "train", train)

    assert sweeping._carry_out(task) == ""
    assert (tmp_path / trial.name).is_dir()


def test_a_finished_run_whose_log_is_gone_has_no_result(tmp_path: Path) -> None:
    (trial,) = trials_of(FIXED)

    assert outcome_of(trial, tmp_path).failure == "its log is missing"


def test_a_damaged_result_is_the_failure_of_that_run_alone(tmp_path: Path) -> None:
    (trial,) = trials_of(FIXED)
    (tmp_path / trial.name).mkdir()
    (tmp_path / trial.name / "result.json").write_text("{")

    (outcome,) = run_sweep([trial], tmp_path) or []

    assert "is no result of a run" in outcome.failure


def test_a_run_that_was_finished_before_is_told_as_such(tmp_path: Path) -> None:
    trials = trials_of({**FIXED, "seed": [0], "epochs": 1})
    first, again = (run_sweep(trials, tmp_path) or [] for _ in range(2))

    assert [outcome.was_finished for outcome in (*first, *again)] == [False, True]


def wait_for(happened: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def command(tmp_path: Path, *options: str, **grid: Any) -> list[str]:
    """The command line of a sweep in a process of its own."""
    file = tmp_path / "grid.toml"
    file.write_text("\n".join(f"{k} = {json.dumps(v)}" for k, v in {**FIXED, **grid}.items()))
    out = ("--out", str(tmp_path / "sweep"))
    return [sys.executable, "-m", "minires", "sweep", str(file), *out, *options]


def children_of(pid: int) -> list[int]:
    """Processes of multiprocessing that this one started; its tracker of resources is none."""
    told = subprocess.run(
        ["ps", "-ww", "--ppid", str(pid), "-o", "pid=,args="],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.split(None, 1) for line in told.stdout.splitlines()]
    return [int(pid) for pid, args in lines if "spawn_main" in args]


_NEEDS_PROCESSES = pytest.mark.skipif(
    shutil.which("ps") is None or not Path("/proc/self").exists(), reason="needs ps and /proc"
)


@pytest.mark.long
@_NEEDS_PROCESSES
def test_a_run_that_is_killed_takes_no_other_with_it(tmp_path: Path) -> None:
    trials = trials_of({**FIXED, "seed": [0, 1], "epochs": 30})
    asked = command(tmp_path, "--jobs", "2", "--json", seed=[0, 1], epochs=30)
    with subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as sweep:
        first = tmp_path / "sweep" / trials[0].name
        wait_for(lambda: len(read_metrics(first).epochs) > 2)
        victims = [p for p in children_of(sweep.pid) if _works_in(p, first)]
        os.kill(victims[0], signal.SIGKILL)
        out, _ = sweep.communicate(timeout=100)

    runs = {run["run"]: run["failure"] for run in json.loads(out)["runs"]}
    assert sweep.returncode == 1
    assert runs[trials[1].name] is None
    assert "its process was killed" in runs[trials[0].name]


def _works_in(pid: int, folder: Path) -> bool:
    """Tell whether a process has a file of this folder open."""
    opened = Path(f"/proc/{pid}/fd").iterdir()
    return any(os.path.realpath(link).startswith(str(folder.resolve())) for link in opened)


@pytest.mark.long
@_NEEDS_PROCESSES
@pytest.mark.parametrize(
    ("number", "to_all"),
    [
        (signal.SIGKILL, False),
        (signal.SIGTERM, False),
        (signal.SIGINT, False),
        (signal.SIGINT, True),  # as a terminal does
    ],
)
def test_after_the_end_of_the_sweep_itself_the_same_command_does_the_rest(
    tmp_path: Path, number: signal.Signals, to_all: bool
) -> None:
    trials = trials_of({**FIXED, "seed": [0, 1], "epochs": 30})
    asked = command(tmp_path, "--json", seed=[0, 1], epochs=30)
    folder = tmp_path / "sweep" / trials[0].name
    with subprocess.Popen(
        asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as sweep:
        wait_for(lambda: len(read_metrics(folder).epochs) > 2)
        (child,) = children_of(sweep.pid)
        (os.killpg if to_all else os.kill)(sweep.pid, number)
        _, told = sweep.communicate(timeout=60)
    wait_for(lambda: not Path(f"/proc/{child}/stat").exists(), 90)

    assert sweep.returncode == (130 if number == signal.SIGINT else -number)
    assert b"Warning" not in told
    if number == signal.SIGINT:
        assert b"stopped; 0 of 2 runs are done. The same command does the rest" in told
    done = len(read_metrics(folder).steps)
    assert (folder / "last.safetensors").exists()
    assert read_result(folder) is None

    again = subprocess.run(asked, capture_output=True, text=True, timeout=100, check=False)

    assert again.returncode == 0, again.stderr
    steps = [line.step for line in read_metrics(folder).steps]
    assert done < len(steps)
    assert steps == list(range(1, len(steps) + 1))


@pytest.mark.long
@pytest.mark.mpi
def test_the_ranks_of_mpi_share_the_runs(tmp_path: Path) -> None:
    launcher = shutil.which("mpiexec") or shutil.which("mpiexec", path=Path(sys.executable).parent)
    if launcher is None or not _has_mpi():
        pytest.skip("mpi4py or mpiexec is not installed; python -m pip install -e '.[mpi]'")
    grid = {"seed": [0, 1, 2], "lr": [0.1, 1e30]}
    asked = [launcher, "-n", "3", *command(tmp_path, "--executor", "mpi", "--json", **grid)]

    done = subprocess.run(asked, capture_output=True, text=True, timeout=110, check=False)

    runs = json.loads(done.stdout)["runs"]
    assert done.returncode == 1
    assert [run["failure"] is None for run in runs] == [True] * 3 + [False] * 3
    assert all("DivergedError" in run["failure"] for run in runs[3:])


def _has_mpi() -> bool:
    try:
        from mpi4py import MPI  # noqa: F401
    except (ImportError, RuntimeError):
        return False
    return True
