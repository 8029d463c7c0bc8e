"""minires train --distributed: real processes that mpiexec starts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from minires.training.runs import load_run, read_metrics

from ..distributed.launching import launcher

pytestmark = [pytest.mark.long, pytest.mark.mpi]

RUN = ["--model", "cifar_resnet8", "--width", "2", "--dataset", "digits", "--batch-size", "64"]
OPTIONS = [*RUN, "--val-split", "0.1", "--threads", "1", "--dtype", "float64", "--quiet"]


def ranks(count: int, *arguments: object) -> subprocess.Popen[str]:
    command = [launcher(), "-n", str(count), sys.executable, "-m", "minires", "train"]
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str], code: int = 0) -> str:
    _, told = process.communicate(timeout=100)
    assert process.returncode == code, told
    return told


@pytest.mark.parametrize("count", [2, 4])
def test_several_ranks_equal_one_to_rounding(count: int, tmp_path: Path) -> None:
    one, several = tmp_path / "one", tmp_path / "several"
    ended(ranks(1, *OPTIONS, "--epochs", 2, "--out", one))
    ended(ranks(count, *OPTIONS, "--epochs", 2, "--distributed", "--sync-bn", "--out", several))
    expected, _ = load_run(one, "last")
    found, _ = load_run(several, "last")
    for name, value in expected.state_dict().items():
        np.testing.assert_allclose(
            found.state_dict()[name].numpy(), value.numpy(), rtol=1e-9, atol=1e-12, err_msg=name
        )
    losses = [[line.loss for line in read_metrics(folder).steps] for folder in (one, several)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-9)
    test, other = read_metrics(one).test, read_metrics(several).test
    assert test is not None
    assert other is not None
    assert test.confusion == other.confusion


def test_ranks_that_cannot_begin_say_so_once_and_end_with_one_code(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for wrong in (("--batch-size", 1), ("--epochs", 0)):
        job = ranks(2, *OPTIONS, "--epochs", 1, "--distributed", *wrong, "--out", folder)
        assert ended(job, code=2).count(f"minires: {wrong[0]}: ") == 1
    assert not folder.exists()
    ended(ranks(2, *OPTIONS, "--epochs", 1, "--distributed", "--out", folder))
    assert ended(ranks(2, "--resume", folder)).count("is finished") == 1
    again = ranks(2, *OPTIONS, "--epochs", 1, "--distributed", "--out", folder)
    assert ended(again, code=2).startswith("minires: --out: there is a run in ")


def test_a_job_that_was_killed_goes_on_to_the_same_bytes_with_as_many_ranks(
    tmp_path: Path,
) -> None:
    # Statistics of batch normalisation are each rank's own here.
    length = "--epochs", 20, "--distributed", "--checkpoint-steps", 3
    ended(ranks(2, *OPTIONS, *length, "--out", tmp_path / "whole"))
    folder = tmp_path / "killed"
    job = ranks(2, *OPTIONS, *length, "--out", folder)
    checkpoint = folder / "last.safetensors"
    while not checkpoint.exists() and job.poll() is None:
        time.sleep(0.005)
    job.terminate()
    job.communicate()
    assert job.returncode != 0
    assert len(read_metrics(folder).steps) < 20 * 21
    alone = ended(ranks(1, "--resume", folder), code=1)
    assert "the checkpoint is of 2 ranks, this run has 1" in alone
    assert "--allow-reshard" in alone
    shutil.copytree(folder, tmp_path / "copy")
    ended(ranks(2, "--resume", folder, "--quiet"))
    for name in ("last.safetensors", "best.safetensors"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    steps = read_metrics(folder).steps
    assert [line.step for line in steps] == list(range(1, len(steps) + 1))
    ended(ranks(1, "--resume", tmp_path / "copy", "--allow-reshard", "--quiet"))
    assert len(read_metrics(tmp_path / "copy").steps) == len(steps)


def test_a_signal_to_one_rank_stops_all_with_a_checkpoint(tmp_path: Path) -> None:
    job = ranks(2, *OPTIONS, "--epochs", 1000, "--distributed", "--out", tmp_path / "run")
    checkpoint = tmp_path / "run" / "last.safetensors"
    while not checkpoint.exists() and job.poll() is None:
        time.sleep(0.005)
    # The launcher's grandchildren: each rank.
    found = subprocess.run(["pgrep", "-f", str(tmp_path / "run")], capture_output=True, text=True)
    pids = [int(pid) for pid in found.stdout.split() if int(pid) != job.pid]
    os.kill(pids[-1], signal.SIGTERM)
    _, told = job.communicate(timeout=60)
    assert job.returncode != 0
    assert "stopped by SIGTERM after step" in told


def test_a_data_set_that_one_rank_lacks_is_told_once_with_its_number(tmp_path: Path) -> None:
    asked = ["--model", "cifar_resnet8", "--dataset", "mnist", "--root", tmp_path]
    told = ended(ranks(2, *asked, "--distributed", "--out", tmp_path / "run"), code=1)
    assert told.count("minires data get mnist") == 1
    assert not (tmp_path / "run").exists()
