"""Schedules that begin gently, or react to what was measured."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.optim.lr_scheduler import (
    CosineAnnealingLR,
    MultiStepLR,
    ReduceLROnPlateau,
    SequentialLR,
    WarmUp,
    WarmUpUntil,
)
from minires.training import Callback, DivergedError, Trainer
from tests.devices.cuda import fake


def optimizer_of(lr: float = 1.0) -> mr.optim.SGD:
    return mr.optim.SGD([mr.zeros(1, requires_grad=True)], lr=lr)


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("mode", "threshold_mode", "cooldown"),
    list(itertools.product(["min", "max"], ["rel", "abs"], [0, 3])),
)
def test_the_plateau_rule_is_pytorchs(mode: Any, threshold_mode: Any, cooldown: int) -> None:
    torch = pytest.importorskip("torch", reason="the oracle of this test")
    options: dict[str, Any] = {
        "mode": mode,
        "threshold_mode": threshold_mode,
        "cooldown": cooldown,
        "factor": 0.3,
        "patience": 2,
        "threshold": 0.01,
        "min_lr": 1e-3,
    }
    ours = optimizer_of()
    theirs = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    schedule = ReduceLROnPlateau(ours, **options)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options)
    metrics = np.random.default_rng(0).uniform(0.4, 0.6, 80)

    for metric in metrics:
        schedule.step(metric)
        reference.step(metric)
        assert ours.param_groups[0]["lr"] == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-12)
    assert ours.param_groups[0]["lr"] == pytest.approx(1e-3)


def test_a_warm_up_rises_to_the_rates_of_a_schedule_that_runs_along() -> None:
    optimizer = optimizer_of(0.4)
    alone = CosineAnnealingLR(optimizer_of(0.4), T_max=6)
    schedule = WarmUp(optimizer, CosineAnnealingLR(optimizer, T_max=6), factor=0.25, until=3)

    found = []
    for _ in range(6):
        found.append(optimizer.param_groups[0]["lr"])
        schedule.step()

    shares = [0.25, 0.5, 0.75, 1, 1, 1]
    expected = [alone.lr_at(epoch, 0.4) * share for epoch, share in enumerate(shares)]
    np.testing.assert_allclose(found, expected)


def test_a_warm_up_may_lead_to_a_plateau() -> None:
    optimizer = optimizer_of()
    plateau = ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    schedule = WarmUp(optimizer, plateau, factor=0.5, until=2)

    for error in (0.5, 0.5):
        schedule.step()
        schedule.epoch_done(0.9, error)

    assert schedule.get_last_lr() == [0.5]


@pytest.mark.parametrize("kind", ["plateau", "warm up", "until"])
@pytest.mark.parametrize("saved_after", [0, 3, 7])
def test_going_on_from_a_saved_state_gives_the_same_rates(kind: str, saved_after: int) -> None:
    def make() -> Any:
        optimizer = optimizer_of()
        if kind == "plateau":
            return ReduceLROnPlateau(optimizer, factor=0.5, patience=1, cooldown=1)
        drop = MultiStepLR(optimizer, [6])
        return (
            WarmUp(optimizer, drop, until=5)
            if kind == "warm up"
            else WarmUpUntil(optimizer, drop, training_error=0.75)
        )

    def play(schedule: Any, errors: list[float]) -> list[float]:
        rates = []
        for error in errors:
            if not schedule.by_metric:
                schedule.step()
            schedule.epoch_done(error)
            rates += schedule.get_last_lr()
            assert schedule.optimizer.param_groups[0]["lr"] == rates[-1]
        return rates

    errors = [0.9, 0.8, 0.8, 0.8, 0.7, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]
    whole = play(make(), errors)
    first, second = make(), make()
    rates = play(first, errors[:saved_after])
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    rates += play(second, errors[saved_after:])

    assert rates == whole
    assert len(set(whole)) > 1


def test_the_rate_stays_small_until_an_epochs_training_error_is_below_the_bound() -> None:
    optimizer = optimizer_of(0.1)
    schedule = WarmUpUntil(optimizer, MultiStepLR(optimizer, [100]), factor=0.1)

    rates = []
    for error in (0.9, 0.8, 0.79, 0.95):
        schedule.epoch_done(error)
        rates += schedule.get_last_lr()

    np.testing.assert_allclose(rates, [0.01, 0.01, 0.1, 0.1])


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda o: ReduceLROnPlateau(o, factor=1.0), r"factor must lie in \(0, 1\), found 1.0"),
        (lambda o: ReduceLROnPlateau(o, mode="up"), "mode must be 'min' or 'max', found 'up'"),
        (lambda o: ReduceLROnPlateau(o, threshold_mode="x"), "must be 'rel' or 'abs', found 'x'"),
        (lambda o: WarmUp(o, MultiStepLR(o, [1]), until=0), "until must be at least 1, found 0"),
        (lambda o: WarmUp(o, MultiStepLR(o, [1]), factor=0.0), r"factor must lie in \(0, 1\]"),
        (lambda o: WarmUp(o, MultiStepLR(optimizer_of(), [1])), "built for another optimizer"),
        (
            lambda o: SequentialLR(o, [MultiStepLR(o, [1]), ReduceLROnPlateau(o)], [5]),
            "rates of ReduceLROnPlateau are no function of the epoch",
        ),
        (
            lambda o: SequentialLR(o, [WarmUp(o, MultiStepLR(o, [1]))], []),
            "rates of WarmUp are no function of the epoch",
        ),
        (
            lambda o: WarmUpUntil(o, MultiStepLR(o, [1]), training_error=0.0),
            r"training_error must lie in \(0, 1\], found 0.0",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(make: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make(optimizer_of())
    with pytest.raises(TypeError, match="needs the metric to watch"):
        ReduceLROnPlateau(optimizer_of()).step()


# In a trainer.


class Rates(Callback):
    def __init__(self) -> None:
        self.used: list[float] = []

    def on_step(self, trainer: Trainer, step: int) -> None:
        self.used.append(trainer.learning_rate)


def network(device: Any = "cpu") -> mr.nn.Module:
    mr.manual_seed(0)
    return mr.nn.Sequential(mr.nn.Linear(3, 4)).to(device)


def batches(count: int) -> list[tuple[mr.Tensor, mr.Tensor]]:
    rng = np.random.default_rng(0)
    return [
        (
            mr.tensor(rng.standard_normal((5, 3)).astype(np.float32)),
            mr.tensor(rng.integers(0, 4, 5)),
        )
        for _ in range(count)
    ]


def test_a_scheduler_that_counts_steps_is_stepped_by_each() -> None:
    model, rates = network(), Rates()
    optimizer = mr.optim.SGD(model.parameters(), lr=0.1)
    schedule = WarmUp(optimizer, MultiStepLR(optimizer, [5], gamma=0.5), factor=0.5, until=2)
    trainer = Trainer(model, optimizer, schedule, [rates], schedule="step")

    history = trainer.fit(batches(3), 2)

    np.testing.assert_allclose(rates.used, [0.05, 0.075, 0.1, 0.1, 0.1, 0.05])
    assert history.learning_rate == [rates.used[2], rates.used[5]]


def test_a_plateau_of_the_validation_error_lowers_the_rate() -> None:
    model = network()
    optimizer = mr.optim.SGD(model.parameters(), lr=1e-6)
    schedule = ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    trainer = Trainer(model, optimizer, schedule)

    history = trainer.fit(batches(2), 3, validation=batches(1))

    assert len(history.validation_error) == len(history.validation_loss) == 3
    assert history.learning_rate == [1e-6, 1e-6, 5e-7]
    assert schedule.best == history.validation_error[0]


def test_without_a_validation_part_the_training_error_is_watched() -> None:
    model = network()
    optimizer = mr.optim.SGD(model.parameters(), lr=1e-6)
    schedule = ReduceLROnPlateau(optimizer)

    history = Trainer(model, optimizer, schedule, schedule="step").fit(batches(2), 1)

    assert schedule.best == history.epoch_error[0]
    assert schedule.last_epoch == 1


@pytest.mark.parametrize("options", [{}, {"look_every": 2}, {"look_every": 1}])
def test_a_step_that_is_undone_on_a_gpu_is_undone_in_the_schedule_too(
    options: dict[str, Any],
) -> None:
    with fake.installed() as device:
        data = batches(6)
        data[3][0].data[0] = np.inf
        model = network(device)
        optimizer = mr.optim.SGD(model.parameters(), lr=1.0)
        schedule = CosineAnnealingLR(optimizer, T_max=10)
        trainer = Trainer(model, optimizer, schedule, schedule="step", **options)

        with pytest.raises(DivergedError):
            trainer.fit(data, 1)

        assert trainer.step == schedule.last_epoch == 3
        assert optimizer.param_groups[0]["lr"] == schedule.lr_at(3, 1.0)


def test_a_trainer_counts_epochs_or_steps() -> None:
    model = network()
    with pytest.raises(ValueError, match="schedule must be 'epoch' or 'step', found 'batch'"):
        Trainer(model, optimizer_of(), schedule="batch")  # type: ignore[arg-type]
