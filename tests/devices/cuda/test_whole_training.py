"""Training from end to end on the stand-in for CuPy, by the kernels' plain versions and sources."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.optim import lr_scheduler
from tests.devices.cuda import fake
from tests.devices.cuda.curves import assert_follows, batches


@pytest.fixture(params=["plain", "host"])
def device(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A GPU whose kernels are in NumPy, and one whose kernels are the CUDA sources, compiled."""
    with fake.installed(request.param) as device:
        yield device


def resnet() -> mr.nn.Module:
    return mr.models.cifar_resnet(8, width=4, seed=0)


def test_steps_of_a_resnet_follow_the_cpu(device: Any) -> None:
    assert_follows(device, resnet, steps=3, size=6, side=12)


@pytest.mark.long
def test_a_hundred_steps_of_a_resnet_follow_the_cpu(device: Any) -> None:
    assert_follows(device, resnet, steps=100, size=6, side=12)


SCHEDULES = {
    "cosine": lambda made: lr_scheduler.CosineAnnealingLR(made, 4),
    "warm-up": lambda made: lr_scheduler.SequentialLR(
        made,
        [lr_scheduler.LinearLR(made, total_iters=2), lr_scheduler.MultiStepLR(made, [1])],
        milestones=[2],
    ),
}


def trainer_of(place: Any, optimizer: str, schedule: str, **options: Any) -> mr.training.Trainer:
    mr.manual_seed(0)
    layers = mr.nn.Conv2d(3, 2, 5, stride=3), mr.nn.BatchNorm2d(2), mr.nn.ReLU(), mr.nn.Flatten()
    model = mr.nn.Sequential(*layers, mr.nn.Linear(18, 10)).to(place)
    made = getattr(mr.optim, optimizer)(model.parameters(), lr=0.05, weight_decay=1e-3)
    return mr.training.Trainer(model, made, SCHEDULES[schedule](made), **options)


def state_of(trainer: mr.training.Trainer) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in trainer.model.state_dict().items()}


@pytest.mark.parametrize(
    ("optimizer", "schedule", "graph"),
    [("SGD", "warm-up", True), ("AdamW", "cosine", False), ("Adam", "cosine", True)],
)
def test_training_that_is_stopped_and_resumed_from_a_file_is_as_if_never_stopped(
    optimizer: str, schedule: str, graph: bool, tmp_path: Path
) -> None:
    data = [(mr.tensor(images), mr.tensor(labels)) for images, labels in batches(4, 6, 12)]
    with fake.installed() as device:
        straight, stopped, resumed = (
            trainer_of(device, optimizer, schedule, graph=graph) for _ in range(3)
        )
        straight.fit(data, 4)

        stopped.fit(data, 2)
        mr.save(stopped.model.state_dict(), tmp_path / "model.safetensors")
        resumed.fit(data, 1)  # a graph, and its optimiser's state, are in the way
        resumed.model.load_state_dict(mr.load(tmp_path / "model.safetensors"))
        resumed.optimizer.load_state_dict(stopped.optimizer.state_dict())
        resumed.scheduler.load_state_dict(stopped.scheduler.state_dict())
        resumed.fit(data, 2)

        there = resumed.evaluate(data)
        expected = state_of(straight)
        for name, values in state_of(resumed).items():
            np.testing.assert_array_equal(values, expected[name], err_msg=name)
    here = trainer_of("cpu", optimizer, schedule)
    here.fit(data, 4)
    np.testing.assert_allclose(resumed.history.loss[-8:], here.history.loss[-8:], rtol=1e-3)
    assert there.error == here.evaluate(data).error
