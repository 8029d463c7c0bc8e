"""What a long run leaves behind while it runs: nothing that grows, and nothing at its end."""

from __future__ import annotations

import gc
import os
import threading
import tracemalloc
from pathlib import Path

import pytest

from minires.training.runs import RunWatcher, train

from .conftest import a_config


class Counting(RunWatcher):
    """Notes memory and open files after some steps."""

    def __init__(self, at: list[int]) -> None:
        self.at = at
        self.memory: list[int] = []
        self.files: list[int] = []
        self.threads: list[int] = []

    def step_done(self, epoch: int, step: int, loss: float, images: int) -> None:
        if step in self.at:
            gc.collect()
            self.memory.append(tracemalloc.get_traced_memory()[0])
            self.files.append(len(os.listdir("/proc/self/fd")))  # noqa: PTH208
            self.threads.append(threading.active_count())


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_memory_files_and_threads_stay_as_they_are_over_a_thousand_steps(tmp_path: Path) -> None:
    watcher = Counting([202, 402, 602, 802, 1002])  # the same place in an epoch, so as many workers
    tracemalloc.start()
    try:
        config = a_config(epochs=None, steps=1005, workers=2, checkpoint_steps=50)
        train(config, tmp_path / "run", watcher=watcher)
    finally:
        tracemalloc.stop()
    # A line of the log is kept for each step: some 300 bytes.
    per_step = (watcher.memory[-1] - watcher.memory[0]) / 800
    assert per_step < 1000, watcher.memory
    assert len(set(watcher.files)) == 1, watcher.files
    assert len(set(watcher.threads)) == 1, watcher.threads


def test_no_thread_is_left_behind_by_an_exception(tmp_path: Path) -> None:
    class FailingError(Exception):
        pass

    class Failing(RunWatcher):
        def step_done(self, epoch: int, step: int, loss: float, images: int) -> None:
            if step == 3:
                raise FailingError

    before = set(threading.enumerate())
    files = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0  # noqa: PTH208
    with pytest.raises(FailingError):
        train(a_config(workers=2), tmp_path / "run", watcher=Failing())
    assert set(threading.enumerate()) <= before
    if files:
        assert len(os.listdir("/proc/self/fd")) == files  # noqa: PTH208
