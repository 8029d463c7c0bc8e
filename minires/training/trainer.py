"""The training loop, short enough to read."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from minires.autograd import Tensor
from minires.nn import Module
from minires.ops import cross_entropy
from minires.optim import Optimizer
from minires.optim.lr_scheduler import LRScheduler

from .callbacks import Callback
from .divergence import Before, diverged
from .evaluation import Batches, Evaluation, Loss, count_mistakes, device_of, evaluate


@dataclass
class History:
    """What was measured on the way.

    Attributes
    ----------
    loss : list of float
        Of every step's batch, before the step.
    epoch_loss, epoch_error : list of float
        Mean loss and share of mistakes over an epoch's batches, in training mode, each batch with
        the parameters that it met. `Trainer.evaluate` measures one fixed network instead.
    learning_rate : list of float
        Of each epoch (the first parameter group's).
    images, seconds : list
        How many images each epoch trained on, and how long that took.
    """

    loss: list[float] = field(default_factory=list)
    epoch_loss: list[float] = field(default_factory=list)
    epoch_error: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    images: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class Trainer:
    """Train a classifier.

    Parameters
    ----------
    model : Module
        Maps images (N, C, H, W) to logits (N, classes).
    optimizer : Optimizer
        Of the model's parameters, such as `minires.optim.SGD`.
    scheduler : LRScheduler, optional
        Its ``step()`` is called after every epoch.
    callbacks : sequence of Callback
        Who is told about every step and epoch.
    loss : callable
        Of logits (N, classes) and labels (N,); cross-entropy by default.

    Attributes
    ----------
    history : History
        What was measured, as plain lists.
    step, epoch : int
        How many of each are done.

    Examples
    --------
    >>> import minires as mr
    >>> x, y = mr.tensor([[-1.0], [1.0]]), mr.tensor([0, 1])
    >>> model = mr.nn.Linear(1, 2)
    >>> trainer = Trainer(model, mr.optim.SGD(model.parameters(), lr=1.0))
    >>> _ = trainer.fit([(x, y)], epochs=20)
    >>> trainer.evaluate([(x, y)]).error
    0.0
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        scheduler: LRScheduler | None = None,
        callbacks: Sequence[Callback] = (),
        *,
        loss: Loss = cross_entropy,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.callbacks = list(callbacks)
        self.loss = loss
        self.history = History()
        self.step = 0
        self.epoch = 0

    def fit(self, train_loader: Batches, epochs: int) -> History:
        """Train for so many more epochs; return the history.

        Parameters
        ----------
        train_loader : iterable of (images, labels)
            Gone through once per epoch.
        epochs : int

        Raises
        ------
        DivergedError
            If a loss is NaN or infinite; it says at which step, and where that arose.
        ValueError
            If `epochs` is not positive or the loader yields nothing.
        """
        if epochs < 1:
            raise ValueError(f"fit: epochs must be at least 1, found {epochs}")
        for _ in range(epochs):
            self._train_epoch(train_loader)
            self.epoch += 1
            if self.scheduler is not None:
                self.scheduler.step()
            for callback in self.callbacks:
                callback.on_epoch(self, self.epoch)
        return self.history

    def evaluate(self, loader: Batches) -> Evaluation:
        """Measure mean loss and error over `loader`, in evaluation mode, without recording.

        Raises
        ------
        ValueError
            If the loader yields nothing.
        """
        return evaluate(self.model, self.loss, loader)

    def _train_epoch(self, loader: Iterable[tuple[Tensor, Tensor]]) -> None:
        self.model.train()
        total, mistakes, count = 0.0, 0, 0
        start = time.perf_counter()
        for images, labels in loader:
            loss, wrong = self._train_step(images, labels)
            size = len(labels.data)
            total, mistakes, count = total + loss * size, mistakes + wrong, count + size
            for callback in self.callbacks:
                callback.on_step(self, self.step)
        if count == 0:
            raise ValueError("fit: the loader yields no batch; is its data set empty?")
        self.history.epoch_loss.append(total / count)
        self.history.epoch_error.append(mistakes / count)
        self.history.learning_rate.append(self.optimizer.param_groups[0]["lr"])
        self.history.images.append(count)
        self.history.seconds.append(time.perf_counter() - start)

    def _train_step(self, images: Tensor, labels: Tensor) -> tuple[float, int]:
        """One update; return the batch's loss and its number of mistakes, both from before it."""
        device = device_of(self.model)
        images, labels = images.to(device), labels.to(device)
        before = Before(self.model)
        # Overflow is reported by DivergedError, with its place, rather than by NumPy's warnings.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            logits = self.model(images)
            loss = self.loss(logits, labels)
            value = float(loss.item())
            if not math.isfinite(value):
                raise diverged(
                    self.model,
                    lambda: self.loss(self.model(images), labels),
                    images,
                    before,
                    step=self.step + 1,
                    epoch=self.epoch + 1,
                    loss=value,
                )
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        self.step += 1
        self.history.loss.append(value)
        return value, count_mistakes(logits, labels)
