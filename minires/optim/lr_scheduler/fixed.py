"""Schedules that are a pure function of the epoch and the group's initial rate."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from minires.optim.optimizer import Optimizer

from .base import LRScheduler, check_positive


class MultiStepLR(LRScheduler):
    """Multiply the rate by `gamma` at each milestone.

    Parameters
    ----------
    optimizer : Optimizer
    milestones : sequence of int
        Epochs at which the rate falls.
    gamma : float
        The factor.

    Examples
    --------
    >>> import minires as mr
    >>> optimizer = mr.optim.SGD([mr.zeros(1, requires_grad=True)], lr=1.0)
    >>> schedule = mr.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 3], gamma=0.5)
    >>> for epoch in range(4):
    ...     optimizer.step()
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1) -> None:
        self.milestones = sorted(milestones)
        self.gamma = gamma
        super().__init__(optimizer)

    def lr_at(self, epoch: int, base_lr: float) -> float:
        """base_lr * gamma^(number of milestones reached)."""
        return float(base_lr * self.gamma ** bisect_right(self.milestones, epoch))


class CosineAnnealingLR(LRScheduler):
    """Let the rate fall along half a cosine, without warm restarts.

    Source: Loshchilov and Hutter 2017 (arXiv 1608.03983), equation 5.

    Parameters
    ----------
    optimizer : Optimizer
    T_max : int
        Epochs from the initial rate to `eta_min`; after them the rate rises again.
    eta_min : float
        The lowest rate.

    Raises
    ------
    ValueError
        If `T_max` is not at least 1.

    Examples
    --------
    >>> import minires as mr
    >>> optimizer = mr.optim.SGD([mr.zeros(1, requires_grad=True)], lr=1.0)
    >>> schedule = mr.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    >>> [round(schedule.lr_at(epoch, 1.0), 3) for epoch in range(3)]
    [1.0, 0.5, 0.0]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max = check_positive(self, "T_max", T_max)
        self.eta_min = eta_min
        super().__init__(optimizer)

    def lr_at(self, epoch: int, base_lr: float) -> float:
        """eta_min + (base_lr - eta_min) * (1 + cos(pi * epoch / T_max)) / 2."""
        share = (1 + math.cos(math.pi * epoch / self.T_max)) / 2
        return self.eta_min + (base_lr - self.eta_min) * share


class LinearLR(LRScheduler):
    """Change the rate in equal steps, from one share of it to another: a warm-up.

    Parameters
    ----------
    optimizer : Optimizer
    start_factor : float
        Share of the initial rate in epoch 0, in (0, 1].
    end_factor : float
        Share from epoch `total_iters` on, in [0, 1].
    total_iters : int
        Number of epochs in between.

    Raises
    ------
    ValueError
        If a factor lies outside of its interval, or `total_iters` is not at least 1.

    Examples
    --------
    >>> import minires as mr
    >>> optimizer = mr.optim.SGD([mr.zeros(1, requires_grad=True)], lr=1.0)
    >>> schedule = mr.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> [schedule.lr_at(epoch, 1.0) for epoch in range(4)]
    [0.5, 0.75, 1.0, 1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
    ) -> None:
        if not 0 < start_factor <= 1:
            raise ValueError(f"LinearLR: start_factor must lie in (0, 1], found {start_factor!r}")
        if not 0 <= end_factor <= 1:
            raise ValueError(f"LinearLR: end_factor must lie in [0, 1], found {end_factor!r}")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = check_positive(self, "total_iters", total_iters)
        super().__init__(optimizer)

    def lr_at(self, epoch: int, base_lr: float) -> float:
        """base_lr times the factor, interpolated between start and end."""
        way = min(epoch, self.total_iters) / self.total_iters
        return base_lr * (self.start_factor + (self.end_factor - self.start_factor) * way)


class SequentialLR(LRScheduler):
    """Run one schedule after the other; each counts its epochs from its own beginning.

    Parameters
    ----------
    optimizer : Optimizer
    schedulers : sequence of LRScheduler
        Built for the same optimizer; from now on only this scheduler's `step` is called.
    milestones : sequence of int
        The epochs at which the second, third, ... schedule begins; rising.

    Raises
    ------
    ValueError
        If the schedulers belong to another optimizer, or are no function of the epoch, or the
        milestones do not fit them.

    Examples
    --------
    Two epochs of warm-up, then a cosine:

    >>> import minires as mr
    >>> optimizer = mr.optim.SGD([mr.zeros(1, requires_grad=True)], lr=1.0)
    >>> warmup = mr.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> cosine = mr.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    >>> schedule = mr.optim.lr_scheduler.SequentialLR(optimizer, [warmup, cosine], milestones=[2])
    >>> [round(schedule.lr_at(epoch, 1.0), 3) for epoch in range(5)]
    [0.5, 0.75, 1.0, 0.5, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
    ) -> None:
        self.schedulers = list(schedulers)
        self.milestones = list(milestones)
        if not self.schedulers or len(self.milestones) != len(self.schedulers) - 1:
            raise ValueError(
                f"SequentialLR: {len(self.schedulers)} schedulers need one milestone less, found"
                f" {len(self.milestones)}: {self.milestones}"
            )
        if any(a >= b for a, b in pairwise([0, *self.milestones])):
            raise ValueError(f"SequentialLR: milestones must rise, found {self.milestones}")
        for number, scheduler in enumerate(self.schedulers):
            if scheduler.optimizer is not optimizer:
                raise ValueError(
                    f"SequentialLR: scheduler {number} ({type(scheduler).__name__}) was built for"
                    " another optimizer"
                )
            if type(scheduler).lr_at is LRScheduler.lr_at:
                raise ValueError(
                    f"SequentialLR: the rates of {type(scheduler).__name__} are no function of the"
                    " epoch, and it cannot wait for its turn; WarmUp and WarmUpUntil lead to such a"
                    " schedule"
                )
        super().__init__(optimizer)

    def lr_at(self, epoch: int, base_lr: float) -> float:
        """Return the rate of the schedule whose turn it is."""
        turn = bisect_right(self.milestones, epoch)
        start = self.milestones[turn - 1] if turn else 0
        return self.schedulers[turn].lr_at(epoch - start, base_lr)
