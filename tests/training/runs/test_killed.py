"""Runs that are killed without warning, and disks that are full: real processes, real files."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from minires.training.runs import read_metrics, read_result

pytestmark = pytest.mark.long

RUN = ["--model", "cifar_resnet8", "--width", "2", "--dataset", "digits", "--batch-size", "128"]
OPTIONS = [*RUN, "--val-split", "0.1", "--checkpoint-steps", "1", "--threads", "1", "--keep", "2"]
COMMAND = [sys.executable, "-m", "minires", "train"]

# Kills itself at the n-th moment at which something is brought to the disk or renamed.
KILLS_ITSELF = """
import os, signal, sys
from pathlib import Path
from minires.cli import main

moment, *arguments = sys.argv[1:]
left = int(moment)

def deadly(function):
    def then(*arguments, **options):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments, **options)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return then

os.fsync, os.link, Path.replace = deadly(os.fsync), deadly(os.link), deadly(Path.replace)
sys.exit(main(["train", *arguments]))
"""


def finished(folder: Path) -> dict[str, bytes]:
    """Go on with a run to its end; return the bytes that tell whether it is another one's equal."""
    done = subprocess.run(
        [*COMMAND, "--resume", folder, "--quiet"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    steps = [line.step for line in read_metrics(folder).steps]
    assert steps == list(range(1, len(steps) + 1))
    assert not list(folder.glob(".*.tmp"))
    names = "last.safetensors", "best.safetensors", "config.json"
    return {name: (folder / name).read_bytes() for name in names}


def uninterrupted(folder: Path, *length: str) -> dict[str, bytes]:
    command = [*COMMAND, *OPTIONS, *length, "--out", folder, "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return finished(folder)


def written(folder: Path) -> int:
    """Return when the last checkpoint was written, 0 for never."""
    path = folder / "last.safetensors"
    return path.stat().st_mtime_ns if path.exists() else 0


@pytest.mark.timeout(400)
def test_a_run_that_was_killed_at_twenty_random_moments_comes_to_the_same_bytes(
    tmp_path: Path,
) -> None:
    length = "--epochs", "40"
    expected = uninterrupted(tmp_path / "whole", *length)
    folder, moments = tmp_path / "killed", random.Random(8)
    arguments, reached = [*OPTIONS, *length, "--out", str(folder)], []
    for number in range(20):
        before = written(folder)
        process = subprocess.Popen(
            [*COMMAND, *arguments], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        assert process.stderr is not None
        process.stderr.readline()  # it is about to take the first step
        while number % 4 and written(folder) == before and process.poll() is None:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.3))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "it was over before it could be killed"
        reached.append(len(read_metrics(folder).steps))
        arguments = ["--resume", str(folder)]
    assert len(set(reached)) > 10, "the kills came at different steps"
    assert finished(folder) == expected
    assert read_metrics(folder).steps == read_metrics(tmp_path / "whole").steps


@pytest.mark.timeout(400)
def test_no_moment_of_a_checkpoint_is_one_to_be_killed_at(tmp_path: Path) -> None:
    length = "--steps", "14"
    expected = uninterrupted(tmp_path / "whole", *length)
    killed = 0
    # The first ones are the configuration's. The later ones are about the end of the first epoch,
    # where all kinds of files are written.
    for moment in [*range(5, 40, 3), *range(190, 245, 5)]:
        folder = tmp_path / str(moment)
        arguments = [*OPTIONS, *length, "--out", str(folder)]
        process = subprocess.run(
            [sys.executable, "-c", KILLS_ITSELF, str(moment), *arguments],
            capture_output=True,
            check=False,
        )
        killed += process.returncode == -signal.SIGKILL
        assert finished(folder) == expected, moment
    assert killed == 23


def test_sigterm_ends_the_command_with_a_checkpoint_and_143(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [*COMMAND, *OPTIONS, "--epochs", "1000", "--out", folder], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    process.stderr.readline()
    process.terminate()
    _, told = process.communicate()
    assert process.returncode == 143
    assert "stopped by SIGTERM after step" in told
    assert (folder / "last.safetensors").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 400 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    if os.name != "posix" or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted; it takes root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_on_a_full_disk_a_run_ends_with_a_sentence_and_goes_on_when_there_is_room(
    small_disk: Path, tmp_path: Path
) -> None:
    expected = uninterrupted(tmp_path / "whole", "--epochs", "8")
    folder = small_disk / "run"
    begun = subprocess.run(
        [*COMMAND, *OPTIONS, "--steps", "3", "--out", folder, "--quiet"], check=False
    )
    assert begun.returncode == 0, "a short run has room"
    ballast = small_disk / "ballast"
    free = os.statvfs(small_disk)
    ballast.write_bytes(bytes(max(free.f_bavail * free.f_frsize - 100_000, 0)))
    other = small_disk / "other"
    full = subprocess.run(
        [*COMMAND, *OPTIONS, "--epochs", "8", "--out", other],
        capture_output=True,
        text=True,
        check=False,
    )
    assert full.returncode == 1
    assert "No space left on device" in full.stderr
    assert "Traceback" not in full.stderr
    assert read_result(folder) is not None, "another run's files are whole"
    ballast.unlink()
    for path in folder.iterdir():
        path.unlink()
    assert finished(other) == expected
