"""Where a training step's time goes, and how it is measured."""

from __future__ import annotations

import time
from typing import Any

import pytest

import minires as mr
from minires.devices import cpu
from minires.lab.speed import KernelTimes, OpTimes, TrainingStep, breakdown, parts_of
from tests.devices.cuda import fake


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


def test_a_slow_kernel_is_found_in_its_part(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = cpu.batch_norm_backward

    def slow(*arguments: Any, **options: Any) -> Any:
        time.sleep(0.05)
        return plain(*arguments, **options)

    step = TrainingStep(mr.models.cifar_resnet(8, width=2, seed=0), batch=2, size=8)
    monkeypatch.setattr(type(cpu), "batch_norm_backward", staticmethod(slow))
    parts = parts_of(step, steps=1)

    assert max(parts, key=parts.__getitem__) == "batch norm backward"
    assert parts["batch norm backward"] > 7 * 50  # one call for each of seven batch norms
    assert list(parts)[-1] == "other"
    assert all(milliseconds > 0 for part, milliseconds in parts.items())


def test_the_clocks_are_taken_away_again_also_after_an_error() -> None:
    before = dict(vars(cpu))
    with pytest.raises(ZeroDivisionError), KernelTimes():
        raise ZeroDivisionError
    assert vars(cpu) == before


def test_a_training_step_learns_its_batch() -> None:
    step = TrainingStep(mr.models.cifar_resnet(8, width=4, seed=0), batch=4, size=8)
    for _ in range(6):
        step()

    assert step.losses[-1] < step.losses[0]


def test_batch_norm_on_a_gpu_has_its_share_although_it_is_one_kernel() -> None:
    with fake.installed() as device:
        step = TrainingStep(mr.models.cifar_resnet(8, width=2), 2, size=8, device=device)
        with KernelTimes(device) as forward, mr.no_grad():
            step.model(mr.zeros(2, 3, 8, 8, device=device))

    assert forward.seconds["batch norm"] > 0
