from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minires.training.runs import train
from minires.training.sweeps import Trial, outcome_of

GRID = """
model = "cifar_resnet8"
dataset = "digits"
epochs = 1
val-split = 0.2
width = 2
lr = [0.1, 0.001]
"""


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    (tmp_path / "grid.toml").write_text(GRID)
    return tmp_path / "grid.toml"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train in this process: starting others has tests of its own."""

    def run_sweep(trials: list[Trial], folder: Path, *, told: Any, **_: Any) -> Any:
        outcomes = []
        for trial in trials:
            train(trial.config, folder / trial.name, resume=True)
            outcomes.append(outcome_of(trial, folder))
            told(outcomes[-1])
        return outcomes

    monkeypatch.setattr("minires.training.sweeps.run_sweep", run_sweep)


@pytest.mark.usefixtures("here")
def test_a_sweep_ends_with_a_table_that_names_the_best(
    minires: Callable[..., Any], grid: Path, tmp_path: Path
) -> None:
    done = minires("sweep", grid)

    assert done.returncode == 0
    first, second, *_, table, page = done.stdout.splitlines()[1:]
    assert first.split()[:2] == ["1", "0.1"]
    assert second.split()[:2] == ["2", "0.001"]
    assert "Lowest validation error" in done.stdout
    assert [Path(table).name, Path(page).name] == ["sweep.csv", "sweep.html"]
    assert (tmp_path / "runs" / "grid" / "sweep.csv").is_file()
    assert done.stderr.count("validation error") == 2


@pytest.mark.usefixtures("here")
def test_json_has_the_same_rows(minires: Callable[..., Any], grid: Path) -> None:
    done = minires("sweep", grid, "--json", "--quiet")
    told = json.loads(done.stdout)

    assert told["schema"] == "minires.sweep/1"
    assert [run["option.lr"] for run in told["runs"]] == [0.1, 0.001]
    assert "test_error" not in told["runs"][0]
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["grid.toml", "--out", "grid.toml"], "--out: 'grid.toml' is a file, and a sweep is a"),
        (["grid.toml", "--jobs", "0"], "greater than or equal to 1"),
        (["grid.toml", "--executor", "threads"], "expected processes or mpi, found 'threads'"),
    ],
)
@pytest.mark.usefixtures("grid")
def test_bad_values_are_told_in_a_line(
    minires: Callable[..., Any], tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    done = minires("sweep", *arguments)

    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_mpi_without_mpiexec_is_refused(
    minires: Callable[..., Any], grid: Path, tmp_path: Path
) -> None:
    pytest.importorskip("mpi4py.MPI")
    done = minires("sweep", grid, "--executor", "mpi")

    assert done.returncode == 2
    assert "--executor: 'mpi' shares the runs out among the processes" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_mpiexec_without_mpi_is_refused(
    minires: Callable[..., Any], grid: Path, tmp_path: Path
) -> None:
    done = minires("sweep", grid, PMI_SIZE="2", PMI_RANK="0")

    assert done.returncode == 2
    assert "say --executor mpi to share the runs out" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_sweep_that_is_stopped_says_how_it_goes_on(
    minires: Callable[..., Any], grid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("minires.training.sweeps.run_sweep", stopped)
    done = minires("sweep", grid)

    assert done.returncode == 130
    assert "stopped; 0 of 2 runs are done. The same command does the rest" in done.stderr


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_grid_that_cannot_be_read_is_told(minires: Callable[..., Any], name: str) -> None:
    done = minires("sweep", name)

    assert done.returncode == 1
    assert done.stderr.startswith(f"minires: '{name}' cannot be read (")


def test_a_grid_without_validation_names_the_key_and_the_file_once(
    minires: Callable[..., Any], grid: Path
) -> None:
    grid.write_text(GRID.replace("val-split", "# val-split"))
    done = minires("sweep", grid)
    assert done.stderr.startswith(f"minires: '{grid}': val-split: nothing is kept for validation")

    grid.write_text("lr = [")
    broken = minires("sweep", grid)
    assert broken.stderr.startswith(f"minires: '{grid}' is no TOML: ")
    assert broken.stderr.count("grid.toml") == 1


def test_a_grid_with_a_mistake_trains_nothing(
    minires: Callable[..., Any], grid: Path, tmp_path: Path
) -> None:
    grid.write_text(GRID + 'colour = "red"\n')
    done = minires("sweep", grid)

    assert done.returncode == 2
    assert "colour: there is no such option" in done.stderr
    assert not (tmp_path / "runs").exists()
