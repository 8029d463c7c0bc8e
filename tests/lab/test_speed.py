"""Where a training step's time goes, and how it is measured."""

from __future__ import annotations

import time
from typing import Any

import pytest

import minires as mr
from minires.lab.speed import OpTimes, TrainingStep, breakdown, parts_of


@mr.op(name="dawdle")
def dawdle(x: Any) -> Any:
    time.sleep(0.02)
    return x * 1


@dawdle.vjp
def _(g: Any) -> Any:
    time.sleep(0.04)
    return g * 1


class Dawdling(mr.nn.Module):
    """A network that wastes its time in one op."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = mr.nn.Linear(3, 10)

    def forward(self, x: mr.Tensor) -> mr.Tensor:
        return self.fc(dawdle(x.mean((2, 3)) * self.fc.weight[0]))


def test_a_slow_op_is_found_by_its_name_forward_and_backward() -> None:
    by_op = breakdown(TrainingStep(Dawdling(), batch=2, size=4), steps=2)

    assert list(by_op)[:2] == ["dawdle backward", "dawdle"]


def test_every_moment_between_the_first_and_the_last_is_credited_to_something() -> None:
    step = TrainingStep(mr.models.cifar_resnet(8, width=2, seed=0), batch=2, size=8)
    with OpTimes() as times:
        start = times._last
        step(times)

    assert sum(times.seconds.values()) == pytest.approx(times._last - start)


def test_the_parts_of_a_step_are_the_sum_of_its_ops() -> None:
    by_op = {"conv2d backward": 4.0, "batch_norm": 2.0, "relu": 1.0, "pad": 0.5, "optimizer": 0.25}
    parts = parts_of(by_op)

    assert parts["convolution backward"] == 4.0
    assert parts["batch norm"] == 3.0
    assert parts["other"] == 0.5
    assert parts["optimizer"] == 0.25
    assert sum(parts.values()) == sum(by_op.values())
    assert list(parts)[-1] == "other"


def test_a_training_step_learns_its_batch() -> None:
    step = TrainingStep(mr.models.cifar_resnet(8, width=4, seed=0), batch=4, size=8)
    for _ in range(6):
        step()

    assert step.losses[-1] < step.losses[0]
