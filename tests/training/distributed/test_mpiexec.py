"""Ranks as processes, started by the `mpiexec` of the package mpich."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from minires.training import mpi
from tests.training.distributed.jobs import assert_equal_runs, trained
from tests.training.distributed.launching import ROOT, launcher, mpiexec

pytestmark = [pytest.mark.long, pytest.mark.mpi]
PROGRAM = ["-m", "tests.training.distributed.program"]


def started(size: int, job: str, folder: Path) -> AbstractContextManager[subprocess.Popen[str]]:
    return mpiexec(size, *PROGRAM, job, str(folder))


def run(size: int, job: str, folder: Path) -> tuple[int, str]:
    with started(size, job, folder) as process:
        out, err = process.communicate(timeout=100)
        return process.returncode, out + err


@pytest.mark.parametrize("size", [2, 4])
def test_processes_with_synchronised_statistics_equal_one_process(size, tmp_path):
    code, told = run(size, "equal", tmp_path)
    assert code == 0, told
    alone = trained(images=50)
    for rank in range(size):
        with np.load(tmp_path / f"rank{rank}.npz") as found:
            assert_equal_runs(dict(found), alone)


def test_an_array_without_gaps_travels_from_its_own_memory():
    array = np.zeros((2, 3))
    assert mpi._host(array) is array
    assert mpi._host(array.T).flags.c_contiguous
    assert mpi._host(np.array(1.0)).shape == ()


@pytest.mark.parametrize("size", [2, 3])
def test_processes_agree_to_the_bit_in_single_precision(size, tmp_path):
    code, told = run(size, "single", tmp_path)
    assert code == 0, told
    assert len({(tmp_path / f"rank{rank}").read_text() for rank in range(size)}) == 1


def test_what_ranks_say_to_each_other(tmp_path):
    code, told = run(2, "words", tmp_path)
    assert code == 0, told
    first, second = (json.loads((tmp_path / f"rank{r}.json").read_text()) for r in (0, 1))
    cores = len(os.sched_getaffinity(0))
    for rank, found in enumerate((first, second)):
        assert (found["rank"], found["size"], found["local"]) == (rank, 2, [rank, 2])
        assert found["threads"] == max(1, cores // 2)
        assert found["all_reduce"] == [1.0, 3.0, 5.0]
        assert found["without order"] == [[1.0, 1.0]] * 3
        assert found["all_gather"] == [[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]]
        assert found["of a number"] == [0, 1]
        assert found["broadcast"] == [0.0, 1.0, 2.0]
        assert found["tell"] == "word 0"
        assert found["on_any"] == [True, False]
    assert (first["gather"], second["gather"]) == (["word 0", "word 1"], None)


def test_the_program_of_the_documentation_runs(tmp_path):
    page = (ROOT / "docs" / "distributed.md").read_text()
    (tmp_path / "program.py").write_text(page.split("```python\n")[1].split("```")[0])
    with mpiexec(2, str(tmp_path / "program.py")) as process:
        out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert len(json.loads(out)) == 2  # rank 0's losses, told once


def test_a_rank_that_raises_tells_where_and_ends_all(tmp_path):
    code, told = run(2, "fails", tmp_path)
    assert code == 1
    assert "rank 1 of 2 failed; all ranks end." in told
    assert "(This rank had taken 3 steps.)" in told
    assert told.count("KeyError: 'a bug on one rank'") == 1
    assert "Traceback" in told


def test_a_rank_that_lacks_the_data_is_named_and_all_end(tmp_path):
    code, told = run(2, "lacks_data", tmp_path)
    assert code != 0
    assert "DistributedError: rank 1 of 2: FileNotFoundError" in told


def test_ranks_with_different_models_are_told_what_differs(tmp_path):
    code, told = run(2, "differs", tmp_path)
    assert code != 0
    assert "the model's parameters and buffers of rank 0 and rank 1 differ" in told


def test_all_ranks_start_from_the_parameters_of_rank_0(tmp_path):
    code, told = run(3, "starts_alike", tmp_path)
    assert code == 0, told


def test_resumed_ranks_go_on_to_the_same_bits_each(tmp_path):
    code, told = run(2, "resumes", tmp_path)
    assert code == 0, told
    assert all((tmp_path / f"rank{rank}").exists() for rank in (0, 1))


def wait_for(paths: list[Path], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not all(path.exists() for path in paths):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_rank_ends_the_job(victim, tmp_path):
    with started(2, "for_ever", tmp_path) as process:
        files = [tmp_path / f"pid{rank}" for rank in (0, 1)]
        wait_for(files, process)
        pids = [int(file.read_text()) for file in files]
        os.kill(pids[victim], signal.SIGKILL)
        process.communicate(timeout=60)
        assert process.returncode != 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_signal_stops_all_ranks_behind_the_same_step(tmp_path):
    with started(2, "for_ever", tmp_path) as process:
        wait_for([tmp_path / f"pid{rank}" for rank in (0, 1)], process)
        process.terminate()
        process.communicate(timeout=60)
        assert process.returncode == 143
    assert (tmp_path / "stopped0").read_text() == (tmp_path / "stopped1").read_text()


def test_without_mpiexec_there_is_one_rank():
    launcher()
    code = (
        "from minires.training import distributed; import minires as mr; c = distributed.join();"
        " print(c.size, mr.get_num_threads(), distributed.join(threads=3).rank,"
        " mr.get_num_threads())"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert told.stdout == f"1 {len(os.sched_getaffinity(0))} 0 3\n", told.stderr


def test_a_launcher_of_another_mpi_is_an_error(monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    with pytest.raises(RuntimeError, match="the launcher started 2 processes, but each finds"):
        mpi._check_launcher(1)
    mpi._check_launcher(2)
