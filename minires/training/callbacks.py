"""Who looks on while a network trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
