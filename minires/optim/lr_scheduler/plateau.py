"""A rate that falls when things no longer get better."""

from __future__ import annotations

import math
from typing import Any, Literal

from minires.optim.optimizer import Optimizer

from .base import LRScheduler


class ReduceLROnPlateau(LRScheduler):
    """Multiply the rate by `factor` when a metric has not improved for some epochs.

    So He et al. 2015 (arXiv 1512.03385, section 3.4) train on ImageNet: "the learning rate starts
    from 0.1 and is divided by 10 when the error plateaus". PyTorch's rule and names. A `Trainer`
    calls `step` itself after every epoch, with the validation error, or with the training error
    where there is no validation part.

    Parameters
    ----------
    optimizer : Optimizer
    mode : {"min", "max"}
        Whether less or more is better.
    factor : float
        In (0, 1).
    patience : int
        So many epochs without an improvement are borne; the next one lowers the rate.
    threshold : float
        What counts as an improvement: by this share of the best value ("rel"), or by so much
        ("abs").
    threshold_mode : {"rel", "abs"}
    cooldown : int
        For so many epochs after the rate fell none is counted as bad.
    min_lr : float
        The rate does not fall below this.
    eps : float
        A smaller change of the rate is left undone.

    Attributes
    ----------
    best : float or None
        The best value so far.
    num_bad_epochs, cooldown_counter : int

    Raises
    ------
    ValueError
        If `factor` or a mode makes no sense.

    Examples
    --------
    >>> import minires as mr
    >>> optimizer = mr.optim.SGD([mr.zeros(1, requires_grad=True)], lr=1.0)
    >>> schedule = mr.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for error in [0.9, 0.8, 0.8, 0.8]:
    ...     schedule.step(error)
    >>> schedule.get_last_lr()
    [0.5]
    """

    by_metric = True

    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if not 0 < factor < 1:
            raise ValueError(f"ReduceLROnPlateau: factor must lie in (0, 1), found {factor!r}")
        if mode not in ("min", "max"):
            raise ValueError(f"ReduceLROnPlateau: mode must be 'min' or 'max', found {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(
                "ReduceLROnPlateau: threshold_mode must be 'rel' or 'abs', found"
                f" {threshold_mode!r}"
            )
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.eps = eps
        self.best: float | None = None
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        self._rates: list[float] = []
        super().__init__(optimizer)

    def get_last_lr(self) -> list[float]:
        """Return the rate that the scheduler last set, for each group."""
        self._rates += self.base_lrs[len(self._rates) :]
        return list(self._rates)

    def step(self, metrics: float | None = None) -> None:
        """Take note of an epoch's metric; lower the rates if it has been too long no better.

        Raises
        ------
        TypeError
            If there is no metric.
        """
        if metrics is None:
            raise TypeError("ReduceLROnPlateau: step needs the metric to watch, step(error)")
        if self._is_better(float(metrics)):
            self.best, self.num_bad_epochs = float(metrics), 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            self._rates = [self._lowered(rate) for rate in self.get_last_lr()]
        self._go_to(self.last_epoch + 1)

    def epoch_done(self, training_error: float, validation_error: float | None = None) -> None:
        """Step by the validation error, or by the training error where there is none."""
        self.step(training_error if validation_error is None else validation_error)

    def _is_better(self, value: float) -> bool:
        if self.best is None:
            return not math.isnan(value)
        sign = 1 if self.mode == "max" else -1
        margin = self.threshold * (self.best if self.threshold_mode == "rel" else 1)
        return sign * value > sign * self.best + margin

    def _lowered(self, rate: float) -> float:
        lower = max(rate * self.factor, self.min_lr)
        return lower if rate - lower > self.eps else rate

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to go on later; settings are not part of it."""
        return {
            **super().state_dict(),
            "rates": self.get_last_lr(),
            "best": self.best,
            "num_bad_epochs": self.num_bad_epochs,
            "cooldown_counter": self.cooldown_counter,
        }

    def _remember(self, state_dict: dict[str, Any]) -> None:
        self._rates = list(state_dict["rates"])
        self.best = state_dict["best"]
        self.num_bad_epochs = state_dict["num_bad_epochs"]
        self.cooldown_counter = state_dict["cooldown_counter"]
