"""Beginning gently: another schedule's rates, made smaller at first."""

from __future__ import annotations

from typing import Any

from minires.optim.optimizer import Optimizer

from .base import LRScheduler, check_positive


class _Gentle(LRScheduler):
    """Base of the warm-ups: a share of the rates of the schedule `after`, which runs along."""

    def __init__(self, optimizer: Optimizer, after: LRScheduler, factor: float) -> None:
        name = type(self).__name__
        if not 0 < factor <= 1:
            raise ValueError(f"{name}: factor must lie in (0, 1], found {factor!r}")
        if after.optimizer is not optimizer:
            raise ValueError(
                f"{name}: the schedule to follow ({type(after).__name__}) was built for another"
                " optimizer"
            )
        self.after = after
        self.factor = factor
        super().__init__(optimizer)

    def share(self) -> float:
        """Return which share of the rates of `after` is set now."""
        raise NotImplementedError

    def get_last_lr(self) -> list[float]:
        """Return the rate that the scheduler last set, for each group."""
        share = self.share()
        return [rate * share for rate in self.after.get_last_lr()]

    def step(self) -> None:
        """Set the next rates."""
        if not self.after.by_metric:
            self.after.step()
        super().step()

    def epoch_done(self, training_error: float, validation_error: float | None = None) -> None:
        """Pass on how an epoch went."""
        self.after.epoch_done(training_error, validation_error)
        self._go_to(self.last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to go on later; settings are not part of it."""
        return {**super().state_dict(), "after": self.after.state_dict()}

    def _remember(self, state_dict: dict[str, Any]) -> None:
        self.after.load_state_dict(state_dict["after"])


class WarmUp(_Gentle):
    """Let the rate rise in equal steps from a share of another schedule's rate to all of it.

    The other schedule counts from the beginning, as in Goyal et al. 2017 (arXiv 1706.02677,
    section 2.2): a milestone at 30 is one at 30 with the warm-up, too. With one call of `step` for
    each step of the optimiser, as `Trainer` does with ``schedule="step"``, the rate rises from step
    to step.

    Parameters
    ----------
    optimizer : Optimizer
    after : LRScheduler
        Built for the same optimizer; from now on only this scheduler's `step` is called.
    factor : float
        The share at the beginning, in (0, 1].
    until : int
        After so many calls of `step` the share is 1.

    Raises
    ------
    ValueError
        If `factor` or `until` makes no sense, or `after` belongs to another optimizer.

    Examples
    --------
    >>> import minires as mr
    >>> optimizer = mr.optim.SGD([mr.zeros(1, requires_grad=True)], lr=1.0)
    >>> drop = mr.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[3], gamma=0.5)
    >>> schedule, rates = mr.optim.lr_scheduler.WarmUp(optimizer, drop, 0.5, until=2), []
    >>> for _ in range(4):
    ...     rates += schedule.get_last_lr()
    ...     schedule.step()
    >>> rates
    [0.5, 0.75, 1.0, 0.5]
    """

    def __init__(
        self, optimizer: Optimizer, after: LRScheduler, factor: float = 0.1, until: int = 5
    ) -> None:
        self.until = check_positive(self, "until", until)
        super().__init__(optimizer, after, factor)

    def share(self) -> float:
        """Return the share, interpolated between `factor` and 1."""
        return self.factor + (1 - self.factor) * min(self.last_epoch / self.until, 1.0)


class WarmUpUntil(_Gentle):
    """Keep to a share of another schedule's rate until the training error of an epoch is small.

    So He et al. 2015 (arXiv 1512.03385, section 4.2) begin ResNet-110: at 0.01 while more than 80 %
    are mistakes, which takes some 400 iterations, then at 0.1. The error is looked at when an epoch
    is done (with batches of 128 an epoch of CIFAR-10 has 391 iterations), as `epoch_done` hears it;
    a `Trainer` tells it. The other schedule counts from the beginning.

    Parameters
    ----------
    optimizer : Optimizer
    after : LRScheduler
        Built for the same optimizer; from now on only this scheduler's `step` is called.
    factor : float
        The share until then, in (0, 1].
    training_error : float
        The share of mistakes below which the warm-up ends.

    Attributes
    ----------
    is_over : bool
        Whether the warm-up has ended.

    Raises
    ------
    ValueError
        If `factor` or `training_error` makes no sense, or `after` belongs to another optimizer.

    Examples
    --------
    >>> import minires as mr
    >>> optimizer = mr.optim.SGD([mr.zeros(1, requires_grad=True)], lr=0.1)
    >>> drop = mr.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[100])
    >>> schedule = mr.optim.lr_scheduler.WarmUpUntil(optimizer, drop, factor=0.1)
    >>> before = schedule.get_last_lr()
    >>> schedule.epoch_done(training_error=0.75)
    >>> [round(rate, 3) for rate in before + schedule.get_last_lr()]
    [0.01, 0.1]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        after: LRScheduler,
        factor: float = 0.1,
        training_error: float = 0.8,
    ) -> None:
        if not 0 < training_error <= 1:
            raise ValueError(
                f"WarmUpUntil: training_error must lie in (0, 1], found {training_error!r}"
            )
        self.training_error = training_error
        self.is_over = False
        super().__init__(optimizer, after, factor)

    def share(self) -> float:
        """Return `factor` during the warm-up, then 1."""
        return 1.0 if self.is_over else self.factor

    def epoch_done(self, training_error: float, validation_error: float | None = None) -> None:
        """End the warm-up if the training error is below the bound."""
        self.is_over |= training_error < self.training_error
        super().epoch_done(training_error, validation_error)

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to go on later; settings are not part of it."""
        return {**super().state_dict(), "is_over": self.is_over}

    def _remember(self, state_dict: dict[str, Any]) -> None:
        super()._remember(state_dict)
        self.is_over = state_dict["is_over"]
