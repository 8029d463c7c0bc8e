"""What all schedules share: they write the next rate into the optimiser's groups."""

from __future__ import annotations

from typing import Any

from minires.optim.optimizer import Optimizer


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
    by_metric : bool
        Whether it moves by what was measured alone, as `epoch_done` hears it, and not by `step`.
    """

    by_metric: bool = False

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

    def epoch_done(self, training_error: float, validation_error: float | None = None) -> None:
        """Hear how an epoch went, which most schedules pass over.

        Parameters
        ----------
        training_error, validation_error : float
            Shares of mistakes, 0 to 1; None where there is no validation part.
        """

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
            If the state was saved by another kind of schedule, or for another number of groups.
            Nothing is changed then.
        """
        if unlike := state_dict.keys() ^ self.state_dict().keys():
            raise ValueError(
                f"{type(self).__name__}: the state was saved by a schedule of another kind: only"
                f" one of the two has {', '.join(map(repr, sorted(unlike)))}"
            )
        saved, groups = state_dict["base_lrs"], self.optimizer.param_groups
        if len(saved) != len(groups):
            raise ValueError(
                f"{type(self).__name__}: the state was saved for {len(saved)} parameter groups,"
                f" the optimizer has {len(groups)}"
            )
        self._remember(state_dict)
        for group, base_lr in zip(groups, saved, strict=True):
            group["initial_lr"] = base_lr
        self._go_to(state_dict["last_epoch"])

    def _remember(self, state_dict: dict[str, Any]) -> None:
        """Take what a subclass has put into its state besides, or raise, and change nothing."""


def check_positive(schedule: LRScheduler, name: str, value: int) -> int:
    """Return `value`; raise ValueError, naming it, if it is below 1."""
    if value < 1:
        raise ValueError(f"{type(schedule).__name__}: {name} must be at least 1, found {value!r}")
    return value
