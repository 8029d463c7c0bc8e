"""The training loop, short enough to read."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from minires.autograd import Tensor
from minires.devices import Device
from minires.nn import Module
from minires.ops import cross_entropy
from minires.optim import Optimizer
from minires.optim.lr_scheduler import LRScheduler

from .callbacks import Callback
from .evaluation import Batches, Evaluation, Loss, device_of, evaluate, summarized
from .graph import CapturedStep
from .ledger import Ledger, Measured
from .steps import CheckedSteps, EagerStep, StepsAhead

# How many steps a GPU may be ahead of what Python knows: enough that waiting costs nothing, few
# enough that their batches can be kept in case they must be taken again.
LOOK_EVERY = 64


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
    graph : bool
        Capture a step as a CUDA graph once it was taken a few times, and replay it from then on: on
        a GPU, small networks spend most of a step starting kernels. See `CapturedStep` for what a
        graph takes for granted.
    look_every : int, optional
        After how many steps the losses are read. On the CPU, and wherever it is 1, a loss is looked
        at before its step is finished. A GPU is by default looked at after 64 steps and at the end
        of an epoch; should a loss then not be finite, the steps since are taken again, one by one.

    Attributes
    ----------
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
        graph: bool = False,
        look_every: int | None = None,
    ) -> None:
        if look_every is not None and look_every < 1:
            raise ValueError(f"Trainer: look_every must be at least 1, found {look_every}")
        self.model = model
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.callbacks = list(callbacks)
        self.loss = loss
        self.graph = graph
        self.look_every = look_every
        self.step = 0
        self.epoch = 0
        self._history = History()
        self._steps: CheckedSteps | StepsAhead | None = None
        self._made_of: tuple[object, ...] = ()
        self._measured: list[Measured] = []

    @property
    def history(self) -> History:
        """What was measured, as plain lists; up to the last step, for which a GPU is waited for.

        The lists grow on their own account from time to time: who keeps one sees that without
        waiting.
        """
        self._look()
        return self._history

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
            If `epochs` is not positive or the loader yields nothing; if the trainer was told to
            capture graphs, and the model is on the CPU.
        """
        if epochs < 1:
            raise ValueError(f"fit: epochs must be at least 1, found {epochs}")
        self._stepper()
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

    def _stepper(self) -> CheckedSteps | StepsAhead:
        """Return what takes the steps; the same as before while nothing has changed."""
        device = device_of(self.model)
        made_of = self.model, self.optimizer, self.loss, device, self.graph, self.look_every
        if self._steps is None or self._made_of != made_of:
            self._look()  # at the steps of what is replaced
            self._steps, self._made_of = self._made_stepper(device), made_of
        return self._steps

    def _made_stepper(self, device: Device) -> CheckedSteps | StepsAhead:
        parts = self.model, self.optimizer, self.loss
        window = self.look_every or (1 if device.synchronous else LOOK_EVERY)
        if self.graph and device.synchronous:
            raise ValueError(
                f"fit: graph=True, but the model is on {device.name!r}. A graph saves the time in"
                " which Python starts a GPU's kernels one by one; the CPU has none to start. Leave"
                " graph=True away, or move the model: model.to('cuda')"
            )
        checked = CheckedSteps(*parts, device)
        if device.synchronous or (window == 1 and not self.graph):
            return checked
        ledger = Ledger(device, window)
        kind = CapturedStep if self.graph else EagerStep
        return StepsAhead(kind(*parts, ledger), checked)

    def _train_epoch(self, loader: Iterable[tuple[Tensor, Tensor]]) -> None:
        self.model.train()
        self._look()  # what an interrupted epoch left unread
        self._measured = []
        start = time.perf_counter()
        for images, labels in loader:
            steps = self._stepper()
            device = steps.device
            steps.take(images.to(device), labels.to(device), self.step + 1, self.epoch + 1)
            self.step += 1
            if steps.is_due:
                self._look()
            for callback in self.callbacks:
                callback.on_step(self, self.step)
        self._look(at_the_end=True)
        if not any(batch.images for batch in self._measured):
            raise ValueError("fit: the loader yields no batch; is its data set empty?")
        epoch = summarized(self._measured)
        self._history.epoch_loss.append(epoch.loss)
        self._history.epoch_error.append(epoch.error)
        self._history.learning_rate.append(self.optimizer.param_groups[0]["lr"])
        self._history.images.append(epoch.images)
        self._history.seconds.append(time.perf_counter() - start)

    def _look(self, at_the_end: bool = False) -> None:
        """Learn what the steps so far have cost, and whether they went well.

        At the end of an epoch callbacks are told even if nothing is new, for what they began in the
        last `on_step`.
        """
        if self._steps is None:
            return
        measured, error = self._steps.read()
        self._measured += measured
        self._history.loss += [batch.loss for batch in measured]
        if error is not None:
            self.step = error.last_finite_step
        if measured or error is not None or at_the_end:
            for callback in self.callbacks:
                callback.on_look(self, self.step)
        if error is not None:
            raise error
