"""Runs small enough to be carried out dozens of times: two seconds of training in all."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minires.devices import get_num_threads, set_num_threads
from minires.training.runs import Plan, RunConfig, RunWatcher, configured, train


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = get_num_threads()
    set_num_threads(1)
    yield
    set_num_threads(before)


def a_config(**options: Any) -> RunConfig:
    """Three epochs of five steps, with everything random that there is on so small images."""
    asked: dict[str, Any] = {
        "dataset": "digits",
        "recipe": "digits",
        "epochs": 3,
        "batch_size": 256,
        "val_split": 0.15,
        "augmentation": "crop",
        "crop_padding": 1,
        "model_options": {"width": 2},
        **options,
    }
    return configured("cifar_resnet8", **asked)


class Watched(RunWatcher):
    """Notes what it is told, and sends a signal after a step."""

    def __init__(self, stop_after: int | None = None, by: int = signal.SIGTERM) -> None:
        self.notes: list[str] = []
        self.plan: Plan | None = None
        self.steps: list[int] = []
        self.stop_after = stop_after
        self.by = by

    def noted(self, sentence: str) -> None:
        self.notes.append(sentence)

    def run_began(self, plan: Plan) -> None:
        self.plan = plan

    def step_done(self, epoch: int, step: int, loss: float, images: int) -> None:
        self.steps.append(step)
        if step == self.stop_after:
            os.kill(os.getpid(), self.by)


def digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that nothing interrupted."""
    set_num_threads(1)
    folder = tmp_path_factory.mktemp("whole") / "run"
    train(a_config(), folder)
    return folder


@pytest.fixture
def stopped(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that begins a run and stops it after so many steps."""
    from minires.training.runs import StoppedError

    def stopped(step: int, by: int = signal.SIGTERM, **options: Any) -> Path:
        folder = tmp_path / "stopped"
        with pytest.raises(StoppedError):
            train(a_config(**options), folder, watcher=Watched(step, by))
        return folder

    return stopped
