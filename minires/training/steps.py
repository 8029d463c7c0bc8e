"""Taking training steps: with a look at each loss, or running ahead where a look costs time."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

from minires.autograd import Tensor
from minires.devices import Device, random
from minires.nn import Module
from minires.optim import Optimizer

from .divergence import Before, DivergedError, Finding, FirstNonFinite, FoundError, stopped
from .ledger import Ledger, Measured
from .update import Update, joined

# Batches are kept in case they must be taken again, but no more than so many bytes of them.
KEPT_BYTES = 2**30


class EagerStep:
    """One update, kernel by kernel, without a look at any value.

    Parameters
    ----------
    update : Update
        What a step consists of.
    ledger : Ledger
        Notes each step's loss and mistakes, both from before the update.
    """

    def __init__(self, update: Update, ledger: Ledger) -> None:
        self.update = update
        self.ledger = ledger

    def __call__(self, images: Tensor, labels: Tensor) -> None:
        """Train on one batch, which is on the model's device."""
        self.launch(images, labels)
        self.update.average()
        self.ledger.count(len(labels.data))

    def forget(self) -> None:
        """Do nothing: an eager step relies on nothing that was there before."""

    def launch(self, images: Tensor, labels: Tensor) -> None:
        """Do all but what Python counts, so that a graph can hold it."""
        update = self.update
        update.optimizer.zero_grad()
        outcomes = []
        for part in update.parts(images, labels):
            logits, loss = update.forward(part)
            loss.backward()
            outcomes.append((logits.detach(), loss.detach()))
        logits, loss = joined(outcomes)
        self.ledger.launch(loss, logits, labels)
        update.apply()


class CheckedSteps:
    """Steps that look at the loss before anything is changed: right where a look costs nothing."""

    def __init__(self, update: Update, device: Device) -> None:
        self.update = update
        self.device = device
        self._taken: list[Measured] = []

    @property
    def is_due(self) -> bool:
        """Whether it is time to `read`: after every step."""
        return True

    def take(self, images: Tensor, labels: Tensor, step: int, epoch: int) -> None:
        """Take step number `step`; both numbers count from 1.

        Raises
        ------
        DivergedError
            If the loss is not finite, or an anomaly is found; the step is not taken then.
        """
        update, value, mistakes, count = self.update, 0.0, 0, 0
        before = Before(update.model)
        parts = update.parts(images, labels)
        watching = FirstNonFinite() if update.anomaly else nullcontext()
        # Overflow is reported by DivergedError, with its place, rather than by NumPy's warnings.
        with self.device.quiet():
            for number, part in enumerate(parts):
                try:
                    with watching:
                        logits, loss = update.forward(part)
                    cost = update.cost(part, logits, loss)
                    value += cost.loss
                    if not math.isfinite(value):
                        raise update.diverged(
                            images,
                            parts[: number + 1],
                            before=before,
                            step=step,
                            epoch=epoch,
                            loss=value,
                        )
                    mistakes, count = mistakes + cost.mistakes, count + cost.images
                    if number == 0:
                        update.optimizer.zero_grad()
                    with watching:
                        loss.backward()
                except FoundError as found:
                    before.restore()
                    reached = value if found.finding.cause == "gradient" else math.nan
                    raise stopped(found.finding, step, epoch, reached) from None
            update.apply()
            update.average()
        self._taken.append(Measured(value, mistakes, count))

    def read(self) -> tuple[list[Measured], DivergedError | None]:
        """Return what was measured since the last time; an error was raised by `take` already."""
        taken, self._taken = self._taken, []
        return taken, None


class StepsAhead:
    """Steps that run ahead of Python: losses stay on the device until they are read.

    A loss that is not finite is noticed late. Then the state from the last reading is put back, and
    the steps since are taken again, with a look at each loss.

    Parameters
    ----------
    step : EagerStep or CapturedStep
    checked : CheckedSteps
        Of the same update; takes the steps again.
    """

    def __init__(self, step: Any, checked: CheckedSteps) -> None:
        self.step = step
        self.checked = checked
        self.device = checked.device
        self._ledger: Ledger = step.ledger
        self._rewind: Rewind | None = None

    @property
    def is_due(self) -> bool:
        """Whether it is time to `read`: the ledger is full, or the batches since are large."""
        rewind = self._rewind
        return self._ledger.is_full or (rewind is not None and rewind.nbytes >= KEPT_BYTES)

    def take(self, images: Tensor, labels: Tensor, step: int, epoch: int) -> None:
        """Start step number `step`; both numbers count from 1."""
        if self._rewind is None:
            self._rewind = Rewind(self.checked.update, step, epoch)
        self._rewind.remember(images, labels)
        self.step(images, labels)

    def read(self) -> tuple[list[Measured], DivergedError | None]:
        """Wait for the device; return what was measured of the finite steps, and why no more."""
        measured = self._ledger.read()
        rewind, self._rewind = self._rewind, None
        for number, (loss, _, _) in enumerate(measured):
            if not math.isfinite(loss):
                assert rewind is not None
                self.step.forget()  # for the optimiser's state may be taken away
                error = rewind.repeat(self.checked, number, loss)
                self.checked.read()
                return measured[: error.step - rewind.step], error
        return measured, None


def written_by(model: Module, optimizer: Optimizer) -> list[Tensor]:
    """Return what a step writes: parameters and buffers, also those of a loss, each once."""
    updated = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return list(dict.fromkeys([*model.parameters(), *model.buffers(), *updated]))


class Rewind:
    """The state before a step, and the batches since, so that steps can be taken again.

    Parameters
    ----------
    update : Update
        The state of its model, optimiser and moving average is copied, on their device.
    step, epoch : int
        Of the step that comes next, counted from 1.

    Attributes
    ----------
    nbytes : int
        Size of the batches.
    """

    def __init__(self, update: Update, step: int, epoch: int) -> None:
        model, optimizer = update.model, update.optimizer
        self.step = step
        self.epoch = epoch
        self.nbytes = 0
        self._optimizer = optimizer
        optimizer.follow()  # copies taken elsewhere could not be written back
        written = written_by(model, optimizer)
        self._ema = update.ema
        if update.ema is not None:
            self._updates = update.ema.updates
            written += update.ema.averages.values()
        self._values = [(tensor, tensor._data.copy()) for tensor in written]
        self._state = {
            parameter: {
                key: value.copy() if hasattr(value, "dtype") else value
                for key, value in remembered.items()
            }
            for parameter, remembered in optimizer.state.items()
        }
        self._random = random.generator().bit_generator.state
        self._batches: list[tuple[Tensor, Tensor, list[dict[str, Any]]]] = []

    def remember(self, images: Tensor, labels: Tensor) -> None:
        """Keep the batch of the next step, and the optimiser's options at that time."""
        options = [
            {key: value for key, value in group.items() if key != "params"}
            for group in self._optimizer.param_groups
        ]
        self._batches.append((images, labels, options))
        self.nbytes += images.data.nbytes + labels.data.nbytes

    def repeat(self, checked: CheckedSteps, number: int, loss: float) -> DivergedError:
        """Put the state back and take the steps again, up to the one that failed.

        Parameters
        ----------
        checked : CheckedSteps
        number : int
            How many steps were right.
        loss : float
            Of the next one.

        Returns
        -------
        DivergedError
            To be raised. The state is that from before the step which failed.
        """
        self._restore()
        try:
            for offset, (images, labels, options) in enumerate(self._batches[: number + 1]):
                for group, then in zip(self._optimizer.param_groups, options, strict=True):
                    group.update(then)
                checked.take(images, labels, self.step + offset, self.epoch)
        except DivergedError as error:
            return error
        step = self.step + number
        finding = Finding(
            "unknown",
            "Taken again, the steps had finite losses: a callback changed the model in between, or"
            " the computation is not deterministic. Trainer(..., look_every=1) finds the place.",
        )
        message = f"training diverged at step {step} (epoch {self.epoch}): the loss is {loss}."
        return DivergedError(f"{message} {finding.sentence}", finding, step, self.epoch, loss)

    def _restore(self) -> None:
        for tensor, values in self._values:
            tensor.copy_(values)
        if self._ema is not None:
            self._ema.updates = self._updates
        state = self._optimizer.state
        for parameter in [parameter for parameter in state if parameter not in self._state]:
            del state[parameter]
        for parameter, remembered in self._state.items():
            for key, value in remembered.items():
                if hasattr(value, "dtype"):
                    state[parameter][key][...] = value
                else:
                    state[parameter][key] = value
        random.generator().bit_generator.state = self._random
