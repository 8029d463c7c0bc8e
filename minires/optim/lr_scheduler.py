"""Learning-rate schedules: the rate as a function of the epoch.

A scheduler's `step`, called once per epoch after the optimiser's steps, writes the next rate into
the optimiser's groups. Each schedule is a pure function of the epoch and the group's initial rate,
so that going on from a saved epoch gives the same rates; one optimiser takes one scheduler, and
`SequentialLR` chains several.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from .optimizer import Optimizer


class LRScheduler:
    """Base of the schedules: a subclass says what the rate is in each epoch.

    Parameters
    ----------
    optimizer : Optimizer
        Its groups' rates are the initial ones (``"initial_lr"``), and are set for epoch 0.

    Attributes
    ----------
    last_epoch : int
        The epoch whose rate is set, counted from 0.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__}: expected an optimizer, found {type(optimizer).__name__}"
            )
        self.optimizer = optimizer
        self._go_to(0)

    @property
    def base_lrs(self) -> list[float]:
        """The initial rate of each group; a group that was added later begins with its own."""
        return [
            group.setdefault("initial_lr", group["lr"]) for group in self.optimizer.param_groups
        ]

    def lr_at(self, epoch: int, base_lr: float) -> float:
        """Return the rate in `epoch` of a group that began with `base_lr`."""
        raise NotImplementedError

    def _go_to(self, epoch: int) -> None:
        self.last_epoch = epoch
        for group, rate in zip(self.optimizer.param_groups, self.get_last_lr(), strict=True):
            group["lr"] = rate

    def step(self) -> None:
        """Set the rates of the next epoch."""
        self._go_to(self.last_epoch + 1)

    def get_last_lr(self) -> list[float]:
        """Return the rate that the scheduler last set, for each group."""
        return [self.lr_at(self.last_epoch, base_lr) for base_lr in self.base_lrs]

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to go on later; settings are not part of it."""
        return {"last_epoch": self.last_epoch, "base_lrs": self.base_lrs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned, and set that epoch's rates.

        Raises
        ------
        ValueError
            If the state was saved for another number of groups.
        """
        saved, groups = state_dict["base_lrs"], self.optimizer.param_groups
        if len(saved) != len(groups):
            raise ValueError(
                f"{type(self).__name__}: the state was saved for {len(saved)} parameter groups,"
                f" the optimizer has {len(groups)}"
            )
        for group, base_lr in zip(groups, saved, strict=True):
            group["initial_lr"] = base_lr
        self._go_to(state_dict["last_epoch"])


def _check_positive(schedule: LRScheduler, name: str, value: int) -> int:
    if value < 1:
        raise ValueError(f"{type(schedule).__name__}: {name} must be at least 1, found {value!r}")
    return value


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
        self.T_max = _check_positive(self, "T_max", T_max)
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
        self.total_iters = _check_positive(self, "total_iters", total_iters)
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
        If the schedulers belong to another optimizer, or the milestones do not fit them.

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
        super().__init__(optimizer)

    def lr_at(self, epoch: int, base_lr: float) -> float:
        """Return the rate of the schedule whose turn it is."""
        turn = bisect_right(self.milestones, epoch)
        start = self.milestones[turn - 1] if turn else 0
        return self.schedulers[turn].lr_at(epoch - start, base_lr)
