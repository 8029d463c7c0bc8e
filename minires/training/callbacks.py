"""Who looks on while a network trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .ledger import Measured
    from .trainer import Trainer


class Callback:
    """Look on while a `Trainer` works; override the moments of interest.

    Callbacks are called in the order in which the trainer got them. One may stop the training by
    an exception.

    Examples
    --------
    >>> class Losses(Callback):
    ...     def on_step(self, trainer, step):
    ...         self.last = trainer.history.loss[-1]
    """

    def on_gradients(self, trainer: Trainer, step: int) -> None:
        """Observe that every ``.grad`` of this step is complete, and neither clipped nor used yet.

        The place to change gradients in. They are those of the whole batch, of all its parts and of
        all ranks. On a GPU, a trainer with a callback that overrides this takes its steps one by
        one, looking at each loss.
        """

    def on_measured(self, trainer: Trainer, measured: list[Measured]) -> None:
        """Observe what the steps since the last look have cost, each over its whole batch.

        The history has them right after this, when `on_look` comes.
        """

    def on_look(self, trainer: Trainer, step: int) -> None:
        """Observe that the losses of all steps up to this one are known, and finite.

        On the CPU this comes right before every `on_step`. Where a look at a value makes the host
        wait, as on a GPU, it comes from time to time: a good moment to read what was measured on
        the device. It comes once more at the end of every epoch, after the last `on_step`.
        """

    def on_step(self, trainer: Trainer, step: int) -> None:
        """Observe that a step is done, counted from 1 over all epochs.

        The parameters are updated, and each ``.grad`` still holds the gradient of this step. A GPU
        may be busy with that yet; ``trainer.history`` waits for it, ``.grad`` does not.
        """

    def on_epoch(self, trainer: Trainer, epoch: int) -> None:
        """Observe that an epoch is done, counted from 1; the scheduler has been stepped."""
