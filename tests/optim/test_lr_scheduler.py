"""Learning-rate schedules: by hand, and against PyTorch over 50 epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import minires as mr

scheduler = mr.optim.lr_scheduler

# Each builds the same schedule from minires' or PyTorch's classes.
SCHEDULES: dict[str, Callable[[Any, Any], Any]] = {
    "multistep": lambda lib, opt: lib.MultiStepLR(opt, milestones=[10, 30, 31], gamma=0.1),
    "multistep unsorted": lambda lib, opt: lib.MultiStepLR(opt, [30, 10], gamma=0.5),
    "multistep repeated": lambda lib, opt: lib.MultiStepLR(opt, [10, 10, 20], gamma=0.5),
    "multistep at once": lambda lib, opt: lib.MultiStepLR(opt, [0, 5], gamma=0.5),
    "cosine": lambda lib, opt: lib.CosineAnnealingLR(opt, T_max=50),
    "cosine with a floor": lambda lib, opt: lib.CosineAnnealingLR(opt, T_max=40, eta_min=0.01),
    "cosine past its end": lambda lib, opt: lib.CosineAnnealingLR(opt, T_max=17, eta_min=0.01),
    "linear": lambda lib, opt: lib.LinearLR(opt),
    "linear down": lambda lib, opt: lib.LinearLR(opt, 1.0, 0.0, total_iters=20),
    "warm-up, then steps": lambda lib, opt: lib.SequentialLR(
        opt,
        [lib.LinearLR(opt, start_factor=0.1, total_iters=5), lib.MultiStepLR(opt, [10, 20])],
        milestones=[5],
    ),
    "warm-up, then cosine": lambda lib, opt: lib.SequentialLR(
        opt,
        [
            lib.LinearLR(opt, start_factor=0.01, total_iters=8),
            lib.CosineAnnealingLR(opt, T_max=42),
        ],
        milestones=[8],
    ),
    "warm-up cut short, then two more": lambda lib, opt: lib.SequentialLR(
        opt,
        [
            lib.LinearLR(opt, start_factor=0.25, total_iters=10),
            lib.MultiStepLR(opt, [3], gamma=0.5),
            lib.CosineAnnealingLR(opt, T_max=20, eta_min=0.001),
        ],
        milestones=[6, 20],
    ),
}


def optimizer(*rates: float) -> mr.optim.SGD:
    groups = [{"params": [mr.zeros(1, requires_grad=True)], "lr": rate} for rate in rates]
    return mr.optim.SGD(groups)


@pytest.mark.oracle
@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_fifty_epochs_have_the_rates_of_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch", reason="the oracle of this test")
    ours = optimizer(0.1, 2.0)
    theirs = torch.optim.SGD(
        [{"params": [torch.zeros(1, requires_grad=True)], "lr": rate} for rate in (0.1, 2.0)]
    )
    schedule = SCHEDULES[name](scheduler, ours)
    oracle = SCHEDULES[name](torch.optim.lr_scheduler, theirs)

    for _ in range(50):
        assert schedule.get_last_lr() == pytest.approx(oracle.get_last_lr(), rel=1e-12, abs=1e-15)
        assert schedule.get_last_lr() == [group["lr"] for group in ours.param_groups]
        schedule.step()
        theirs.step()  # PyTorch warns of a scheduler that steps before its optimizer
        oracle.step()


def rates_of(schedule: Any, epochs: int) -> list[float]:
    rates = []
    for _ in range(epochs):
        rates.append(schedule.get_last_lr()[0])
        schedule.step()
    return rates


def test_multistep_multiplies_at_each_milestone() -> None:
    schedule = scheduler.MultiStepLR(optimizer(1.0), milestones=[2, 3], gamma=0.5)

    assert rates_of(schedule, 5) == [1.0, 1.0, 0.5, 0.25, 0.25]


def test_cosine_passes_half_of_the_rate_half_way() -> None:
    schedule = scheduler.CosineAnnealingLR(optimizer(1.0), T_max=4, eta_min=0.5)

    assert rates_of(schedule, 5) == pytest.approx(
        [1.0, 0.75 + 0.25 * 0.5**0.5, 0.75, 0.75 - 0.25 * 0.5**0.5, 0.5], rel=1e-14
    )


def test_warm_up_rises_in_equal_steps_and_stays() -> None:
    schedule = scheduler.LinearLR(optimizer(1.0), start_factor=0.25, total_iters=3)

    assert rates_of(schedule, 5) == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_sequence_counts_each_schedule_from_its_own_beginning() -> None:
    made = optimizer(1.0)
    warmup = scheduler.LinearLR(made, start_factor=0.5, total_iters=2)
    steps = scheduler.MultiStepLR(made, milestones=[1], gamma=0.1)

    schedule = scheduler.SequentialLR(made, [warmup, steps], milestones=[2])

    assert rates_of(schedule, 4) == pytest.approx([0.5, 0.75, 1.0, 0.1], rel=1e-15)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_a_saved_schedule_resumes_with_the_same_rates(name: str) -> None:
    straight = SCHEDULES[name](scheduler, optimizer(0.3))
    expected = rates_of(straight, 40)

    stopped = SCHEDULES[name](scheduler, optimizer(0.3))
    rates_of(stopped, 15)
    made = optimizer(77.0)
    resumed = SCHEDULES[name](scheduler, made)
    resumed.load_state_dict(stopped.state_dict())

    assert made.param_groups[0]["lr"] == expected[15]
    assert rates_of(resumed, 25) == expected[15:]


def test_a_group_added_later_is_scheduled_from_its_own_rate() -> None:
    made = optimizer(1.0)
    schedule = scheduler.MultiStepLR(made, milestones=[1], gamma=0.5)

    made.add_param_group({"params": [mr.zeros(1, requires_grad=True)], "lr": 0.2})
    schedule.step()

    assert schedule.get_last_lr() == [0.5, 0.1]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda opt: scheduler.CosineAnnealingLR(opt, 0), "T_max must be at least 1, found 0"),
        (lambda opt: scheduler.LinearLR(opt, total_iters=0), "total_iters must be at least 1"),
        (lambda opt: scheduler.LinearLR(opt, start_factor=0.0), r"start_factor .* in \(0, 1\]"),
        (lambda opt: scheduler.LinearLR(opt, end_factor=1.5), r"end_factor .* in \[0, 1\]"),
        (lambda opt: scheduler.SequentialLR(opt, [], []), "0 schedulers need one milestone less"),
        (
            lambda opt: scheduler.SequentialLR(opt, [scheduler.LinearLR(opt)] * 3, [4, 4]),
            r"milestones must rise, found \[4, 4\]",
        ),
        (
            lambda opt: scheduler.SequentialLR(opt, [scheduler.LinearLR(optimizer(1.0))], []),
            "scheduler 0 .LinearLR. was built for another optimizer",
        ),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(
    build: Callable[[Any], Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build(optimizer(1.0))


def test_a_schedule_needs_an_optimizer() -> None:
    with pytest.raises(TypeError, match="LinearLR: expected an optimizer, found list"):
        scheduler.LinearLR([0.1])  # type: ignore[arg-type]


def test_a_schedule_of_other_groups_is_refused() -> None:
    saved = scheduler.LinearLR(optimizer(1.0, 2.0)).state_dict()

    with pytest.raises(ValueError, match="saved for 2 parameter groups, the optimizer has 1"):
        scheduler.LinearLR(optimizer(1.0)).load_state_dict(saved)
