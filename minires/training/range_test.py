"""The learning-rate range test: how the loss answers to rates that rise from step to step."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from minires.autograd import Tensor
from minires.devices import random
from minires.nn import Module
from minires.ops import cross_entropy
from minires.optim import Optimizer

from .divergence import DivergedError
from .evaluation import Batches, Loss, device_of
from .steps import CheckedSteps
from .update import Update

# The smoothed loss keeps so much of what it was at each step, and may rise to so many times its
# least value before the test ends.
_KEPT = 0.9
_TOO_HIGH = 4.0
# So many steps it looks back on; with fewer rates it tells nothing.
_LEAST_STEPS = 10
# A loss has fallen if it did by more than this share, and than so many times what lies between one
# batch's loss and the next: among losses that only scatter, one test in a hundred finds so much.
_FALLEN = 0.01
_SCATTER = 2.0


@dataclass(frozen=True)
class LRCurve:
    """What `lr_find` measured.

    Attributes
    ----------
    lrs, losses : list of float
        The rate of each step, and the loss of its batch before the step.
    smoothed : list of float
        The losses' moving average.
    suggestion : float or None
        The rate at which the smoothed loss fell fastest, over the logarithm of the rate, between
        a tenth of the steps and its least value. None if it fell less there than by 1 %, or than by
        twice the mean difference of one batch's loss and the next.
    """

    lrs: list[float]
    losses: list[float]
    smoothed: list[float]
    suggestion: float | None


def lr_find(
    model: Module,
    optimizer: Optimizer,
    loader: Batches,
    *,
    loss: Loss = cross_entropy,
    start: float = 1e-5,
    end: float = 10.0,
    steps: int = 100,
) -> LRCurve:
    """Take steps with rates that rise from `start` to `end`, and see when the loss falls and rises.

    It ends early when the loss is more than four times its least value, or no number. Weights,
    running statistics, the optimiser's state and the random numbers are afterwards what they were
    (Smith 2017, arXiv 1506.01186, section 3.3).

    Parameters
    ----------
    model : Module
    optimizer : Optimizer
        Of the model's parameters; all groups get the same rate.
    loader : iterable of (images, labels)
        Gone through as often as need be.
    loss : callable
    start, end : float
        The first and the last rate; they grow by a constant factor.
    steps : int
        At least 10.

    Raises
    ------
    ValueError
        If the rates do not rise from above 0, `steps` is below 10, or the loader yields nothing.

    Examples
    --------
    >>> import minires as mr
    >>> x, y = mr.tensor([[-1.0], [1.0]]), mr.tensor([0, 1])
    >>> model = mr.nn.Linear(1, 2)
    >>> curve = lr_find(model, mr.optim.SGD(model.parameters()), [(x, y)], steps=50)
    >>> curve.losses[-1] < curve.losses[0]
    True
    """
    if not (0 < start < end and math.isfinite(end)):
        raise ValueError(
            f"lr_find: the rates must rise from above 0, found start={start!r}, end={end!r}"
        )
    if steps < _LEAST_STEPS:
        raise ValueError(f"lr_find: steps must be at least {_LEAST_STEPS}, found {steps}")
    before = _Before(model, optimizer)
    lrs: list[float] = []
    losses: list[float] = []
    smoothed: list[float] = []
    taking, average = CheckedSteps(Update(model, optimizer, loss), device_of(model)), 0.0
    model.train()
    try:
        for number, (images, labels) in enumerate(itertools.islice(_endless(loader), steps)):
            rate = start * (end / start) ** (number / (steps - 1))
            for group in optimizer.param_groups:
                group["lr"] = rate
            batch = images.to(taking.device), labels.to(taking.device)
            try:
                taking.take(*batch, number + 1, 1)
            except DivergedError:
                break
            ((value, _, _),) = taking.read()[0]
            average = _KEPT * average + (1 - _KEPT) * value
            lrs.append(rate)
            losses.append(value)
            smoothed.append(average / (1 - _KEPT ** (number + 1)))  # as Adam corrects its moments
            if smoothed[-1] > _TOO_HIGH * min(smoothed):
                break
    finally:
        before.restore()
    return LRCurve(lrs, losses, smoothed, _suggested(lrs, losses, smoothed))


def _endless(loader: Batches) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        empty = True
        for batch in loader:
            empty = False
            yield batch
        if empty:
            raise ValueError("lr_find: the loader yields no batch; is its data set empty?")


def _suggested(lrs: list[float], losses: list[float], smoothed: list[float]) -> float | None:
    # The first averages are of so few losses that they fall and rise as these scatter.
    first, least = len(smoothed) // 10, int(np.argmin(smoothed)) if smoothed else 0
    if least <= first:
        return None
    scatter = float(np.mean(np.abs(np.diff(losses[: least + 1]))))
    fall = smoothed[first] - smoothed[least]
    if fall <= max(_FALLEN * abs(smoothed[first]), _SCATTER * scatter):
        return None
    slopes = np.gradient(smoothed[first : least + 1], np.log(lrs[first : least + 1]))
    return lrs[first + int(np.argmin(slopes))]


class _Before:
    """What steps change, to be put back."""

    def __init__(self, model: Module, optimizer: Optimizer) -> None:
        self._model, self._optimizer = model, optimizer
        self._values = copy.deepcopy(model.state_dict())
        self._state = copy.deepcopy(optimizer.state_dict())
        self._modes = [(module, module.training) for module in model.modules()]
        self._random = random.state()

    def restore(self) -> None:
        self._model.load_state_dict(self._values)
        self._optimizer.load_state_dict(self._state)
        self._optimizer.zero_grad()
        for module, mode in self._modes:
            vars(module)["training"] = mode
        random.restore(self._random)
