"""The training loop, short enough to read."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from typing import Any, Literal

from minires.autograd import Tensor
from minires.devices import random
from minires.devices.communicator import Communicator
from minires.nn import Module
from minires.ops import cross_entropy
from minires.optim import Optimizer
from minires.optim.lr_scheduler import LRScheduler

from .callbacks import Callback
from .ema import EMA
from .evaluation import Batches, Evaluation, Loss, device_of, evaluate, require_tensors, summarized
from .history import History
from .ledger import Measured
from .ranks import Ranks
from .saved import load_all
from .stepper import check_graph, made_stepper
from .steps import CheckedSteps, StepsAhead
from .update import Update

# Of what `Trainer.state_dict` holds.
_STATE_VERSION = 1


class Trainer:
    """Train a classifier.

    Parameters
    ----------
    model : Module
        Maps images (N, C, H, W) to logits (N, classes).
    optimizer : Optimizer
        Of the model's parameters, such as `minires.optim.SGD`.
    scheduler : LRScheduler, optional
        Its ``step()`` is called as `schedule` says; it hears how every epoch went.
    callbacks : sequence of Callback
        Who is told about every step and epoch.
    loss : callable
        Of logits (N, classes) and labels (N,); cross-entropy by default.
    schedule : {"epoch", "step"}
        What the scheduler counts.
    accumulate : int
        In how many parts a batch goes through the network, one after the other. Their gradients add
        up to the batch's, for a loss that is a mean over images, and less memory is needed; only
        batch normalisation sees smaller batches.
    clip_grad_norm : float, optional
        The gradient of all parameters together is made no longer than this; see
        `minires.nn.utils.clip_grad_norm_`.
    ema : EMA, optional
        A moving average of the model's weights, updated after every step. `evaluate`, and so the
        validation part, measures the averages.
    anomaly : bool
        Look at every value and every gradient, and stop at the first that is NaN or infinite, with
        the op and the module that made it. Without this a loss that is no number is traced back in
        the same way; a gradient that is none is noticed by the parameters of the next step. Slow.
    graph : bool
        Capture a step as a CUDA graph once it was taken a few times, and replay it from then on: on
        a GPU, small networks spend most of a step starting kernels. See `CapturedStep` for what a
        graph takes for granted.
    look_every : int, optional
        After how many steps the losses are read. On the CPU, and wherever it is 1, a loss is looked
        at before its step is finished. A GPU is by default looked at after 64 steps and at the end
        of an epoch; should a loss then not be finite, the steps since are taken again, one by one.
    communicator : Communicator, optional
        The ranks that train together, as from `minires.training.distributed.join`; each draws its
        own part of every batch. Losses, gradients and what is measured are those of all of them.
        Every loss is looked at then.

    Attributes
    ----------
    step, epoch : int
        How many of each are done.
    batch : int
        How many batches of the present epoch are done.
    batch_images : int
        How many images the present step has; of several ranks, on this one.
    learning_rate : float
        That of the last step (the first parameter group's), when the scheduler may have set the
        next one already.

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
        schedule: Literal["epoch", "step"] = "epoch",
        accumulate: int = 1,
        clip_grad_norm: float | None = None,
        ema: EMA | None = None,
        anomaly: bool = False,
        graph: bool = False,
        look_every: int | None = None,
        communicator: Communicator | None = None,
    ) -> None:
        if schedule not in ("epoch", "step"):
            raise ValueError(f"Trainer: schedule must be 'epoch' or 'step', found {schedule!r}")
        if accumulate < 1:
            raise ValueError(f"Trainer: accumulate must be at least 1, found {accumulate}")
        if clip_grad_norm is not None and not (
            clip_grad_norm > 0 and math.isfinite(clip_grad_norm)
        ):
            raise ValueError(
                f"Trainer: clip_grad_norm must be a number above 0, found {clip_grad_norm!r};"
                " None clips nothing"
            )
        if look_every is not None and look_every < 1:
            raise ValueError(f"Trainer: look_every must be at least 1, found {look_every}")
        if graph and anomaly:
            raise ValueError(
                "Trainer: graph=True, anomaly=True: a graph that is replayed shows nobody its"
                " values. Leave one of them away"
            )
        if graph:
            check_graph("Trainer", device_of(model))
        self.model = model
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.callbacks = list(callbacks)
        self.loss = loss
        self.schedule = schedule
        self.accumulate = accumulate
        self.clip_grad_norm = clip_grad_norm
        self.ema = ema
        self.anomaly = anomaly
        self.graph = graph
        self.look_every = look_every
        self.ranks: Ranks | None = None
        if communicator is not None and communicator.size > 1:
            if anomaly:
                raise ValueError(
                    "Trainer: anomaly=True stops the rank that finds one, while the others wait for"
                    " it. Look for anomalies with one rank"
                )
            self.ranks = Ranks(communicator)
        self.step = 0
        self.epoch = 0
        self.batch = 0
        self.batch_images = 0
        self.learning_rate: float = optimizer.param_groups[0]["lr"]
        self._history = History()
        self._steps: CheckedSteps | StepsAhead | None = None
        self._made_of: tuple[object, ...] = ()
        # Of the present epoch, which goes on where a state that was loaded left it.
        self._measured: list[Measured] = []
        # The scheduler's states at the steps since the last look.
        self._schedules: list[dict[str, Any]] = []
        self._seconds = 0.0
        self._goes_on = False

    def __repr__(self) -> str:
        model, optimizer = type(self.model).__name__, type(self.optimizer).__name__
        return f"Trainer({model}, {optimizer}; {self.epoch} epochs and {self.step} steps done)"

    @property
    def history(self) -> History:
        """What was measured, as plain lists; up to the last step, for which a GPU is waited for.

        The lists grow on their own account from time to time: who keeps one sees that without
        waiting.
        """
        self._look()
        return self._history

    def fit(self, train_loader: Batches, epochs: int, validation: Batches | None = None) -> History:
        """Train for so many more epochs; return the history.

        After `load_state_dict` the first of them is the one in whose midst the state was saved. A
        loader that has ``set_epoch``, as a `minires.data.DataLoader` has, is told where to begin;
        of any other the batches that are done are drawn and left aside.

        Parameters
        ----------
        train_loader : iterable of (images, labels)
            Gone through once per epoch.
        epochs : int
        validation : iterable of (images, labels), optional
            What the network is measured on after each epoch.

        Raises
        ------
        DivergedError
            If a loss is NaN or infinite; it says at which step, and where that arose.
        ValueError
            If `epochs` is not positive or the loader yields nothing; if the trainer was told to
            capture graphs, and the model is on the CPU.
        TypeError
            If what a loader yields are no batches of Tensors.
        """
        if epochs < 1:
            raise ValueError(f"fit: epochs must be at least 1, found {epochs}")
        self._stepper()
        for _ in range(epochs):
            training_error = self._train_epoch(train_loader)
            if self.ranks is not None:
                self.ranks.check_alike(self.model)
            validation_error = None
            if validation is not None:
                found = self.evaluate(validation)
                self._history.validation_loss.append(found.loss)
                self._history.validation_error.append(found.error)
                validation_error = found.error
            self.epoch, self.batch = self.epoch + 1, 0
            if self.scheduler is not None:
                self.scheduler.epoch_done(training_error, validation_error)
                self._step_scheduler("epoch")
            for callback in self.callbacks:
                callback.on_epoch(self, self.epoch)
        return self.history

    def evaluate(self, loader: Batches, *, confusion: bool = False) -> Evaluation:
        """Measure mean loss and error over `loader`, in evaluation mode, without recording.

        Where there is a moving average of the weights, it is the one that is measured. With
        `confusion` it is counted as well which class was taken for which. Where there
        are several ranks, it is over what the loaders of all of them yield.

        Raises
        ------
        ValueError
            If the loader yields nothing.
        """
        with nullcontext() if self.ema is None else self.ema.swapped(self.model):
            if self.ranks is not None:
                return self.ranks.evaluate(self.model, self.loss, loader, confusion)
            return evaluate(self.model, self.loss, loader, confusion=confusion)

    def state_dict(self) -> dict[str, Any]:
        """Return all that the steps to come depend on, but the data.

        It can be asked for after any step. Another trainer that loads it, built alike, in another
        process too, goes on to the same weights, to the bit: on the same machine, with the same
        number of threads and the same batches.

        Returns
        -------
        dict
            ``"model"``, ``"optimizer"``, ``"scheduler"`` and ``"ema"`` (None without one): their
            ``state_dict()``, whose Tensors share memory with them. ``"random"``: the state of
            minires' random numbers. ``"step"``, ``"epoch"``, ``"batch"``: how many are done.
            ``"history"``, ``"measured"``, ``"seconds"``: what was measured so far, the latter two
            in the present epoch. All but the Tensors is fit for JSON.
        """
        history = {name: list(values) for name, values in vars(self.history).items()}
        return {
            "version": _STATE_VERSION,
            "step": self.step,
            "epoch": self.epoch,
            "batch": self.batch,
            "learning_rate": self.learning_rate,
            **{
                name: None if part is None else part.state_dict()
                for name, part in self._parts().items()
            },
            "random": random.state(),
            "history": history,
            "measured": [list(batch) for batch in self._measured] if self.batch else [],
            "seconds": self._seconds if self.batch else 0.0,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned; the next `fit` does so.

        Parameters
        ----------
        state_dict : dict
            As from `state_dict`; its Tensors may also be arrays. Everything is copied.

        Raises
        ------
        ValueError
            If it was saved by another version, with a scheduler or a moving average where there is
            none, or without one where there is one, or for another model or optimiser. Nothing is
            changed then.
        """
        if state_dict.get("version") != _STATE_VERSION:
            raise ValueError(
                "Trainer.load_state_dict: expected a state of version"
                f" {_STATE_VERSION}, found {state_dict.get('version')!r}; was it saved by another"
                " version of minires?"
            )
        history = History(**{k: list(v) for k, v in state_dict["history"].items()})
        measured = [Measured(*batch) for batch in state_dict["measured"]]
        named = ("step", "epoch", "batch", "learning_rate", "seconds")
        step, epoch, batch, learning_rate, seconds = (state_dict[name] for name in named)
        load_all(self._parts(), state_dict)
        self.step, self.epoch, self.batch = step, epoch, batch
        self.learning_rate, self._seconds = learning_rate, seconds
        self._history, self._measured = history, measured
        self._steps, self._schedules, self._goes_on = None, [], True

    def _parts(self) -> dict[str, Any]:
        """Return what has a state of its own, by its name in that of the trainer."""
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "scheduler": self.scheduler,
            "ema": self.ema,
        }

    def _stepper(self) -> CheckedSteps | StepsAhead:
        """Return what takes the steps; the same as before while nothing has changed."""
        device = device_of(self.model)
        overridden = any(
            type(callback).on_gradients is not Callback.on_gradients for callback in self.callbacks
        )
        update = Update(
            self.model,
            self.optimizer,
            self.loss,
            self.accumulate,
            self.clip_grad_norm,
            self.ema,
            self._tell_gradients if overridden else None,
            self.anomaly,
            self.ranks,
        )
        made_of = update, device, self.graph, self.look_every
        if self._steps is None or self._made_of != made_of:
            self._look()  # at the steps of what is replaced
            self._steps, self._made_of = made_stepper(*made_of), made_of
        return self._steps

    def _tell_gradients(self) -> None:
        for callback in self.callbacks:
            callback.on_gradients(self, self.step + 1)

    def _step_scheduler(self, after: str) -> None:
        scheduler = self.scheduler
        if scheduler is not None and self.schedule == after and not scheduler.by_metric:
            scheduler.step()

    def _train_epoch(self, loader: Batches) -> float:
        """Train for what is left of the present epoch; return its share of mistakes."""
        self.model.train()
        self._look()  # what an interrupted epoch left unread
        if not self._goes_on:
            self.batch, self._measured, self._seconds = 0, [], 0.0
        self._goes_on = False
        start = time.perf_counter() - self._seconds
        if self.ranks is not None:
            self.ranks.check_length(loader)
        batches = self._batches_left(loader)
        try:
            for number, batch in enumerate(batches):
                if number == 0:
                    require_tensors("fit", batch)
                images, labels = batch
                steps = self._stepper()
                device = steps.device
                self.batch_images = len(labels.data)
                steps.take(images.to(device), labels.to(device), self.step + 1, self.epoch + 1)
                self.step += 1
                self.batch += 1
                self.learning_rate = self.optimizer.param_groups[0]["lr"]
                if self.scheduler is not None and self.schedule == "step":
                    self._schedules.append(self.scheduler.state_dict())
                    self._step_scheduler("step")
                self._seconds = time.perf_counter() - start
                if steps.is_due:
                    self._look()
                for callback in self.callbacks:
                    callback.on_step(self, self.step)
            if self.ranks is not None:
                self.ranks.counts(None)  # another rank may have a further batch, and wait for us
        except Exception as error:
            if self.ranks is not None:
                error.add_note(f"(This rank had taken {self.step} steps.)")
            raise
        finally:
            # A loader's workers end here and now, not when an exception is forgotten.
            if hasattr(batches, "close"):
                batches.close()
        self._look(at_the_end=True)
        if not any(batch.images for batch in self._measured):
            raise ValueError("fit: the loader yields no batch; is its data set empty?")
        epoch = summarized(self._measured)
        self._history.epoch_loss.append(epoch.loss)
        self._history.epoch_error.append(epoch.error)
        self._history.learning_rate.append(self.learning_rate)
        self._history.images.append(epoch.images)
        self._history.seconds.append(time.perf_counter() - start)
        return epoch.error

    def _batches_left(self, loader: Any) -> Iterator[tuple[Tensor, Tensor]]:
        """Begin the present epoch after the batches that are done."""
        if not hasattr(loader, "set_epoch"):
            return islice(loader, self.batch, None) if self.batch else iter(loader)
        if self.batch:
            loader.set_epoch(self.epoch, self.batch)
        else:
            loader.set_epoch(self.epoch)
        return iter(loader)

    def _look(self, at_the_end: bool = False) -> None:
        """Learn what the steps so far have cost, and whether they went well.

        At the end of an epoch callbacks are told even if nothing is new, for what they began in the
        last `on_step`.
        """
        if self._steps is None:
            return
        measured, error = self._steps.read()
        if measured:
            for callback in self.callbacks:
                callback.on_measured(self, measured)
        self._measured += measured
        self._history.loss += [batch.loss for batch in measured]
        if error is not None:
            undone = self.step - error.last_finite_step
            if self._schedules and self.scheduler is not None:
                self.scheduler.load_state_dict(self._schedules[-undone])
            self.batch -= undone
            self.step = error.last_finite_step
        self._schedules = []
        if measured or error is not None or at_the_end:
            for callback in self.callbacks:
                callback.on_look(self, self.step)
        if error is not None:
            raise error
