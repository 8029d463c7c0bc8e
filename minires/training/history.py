"""What training measured on the way."""

from __future__ import annotations

from dataclasses import dataclass, field


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
    validation_loss, validation_error : list of float
        Of the network after each epoch, where `Trainer.fit` got a validation part.
    learning_rate : list of float
        Of each epoch's last step (the first parameter group's).
    images, seconds : list
        How many images each epoch trained on, and how long that took.
    """

    loss: list[float] = field(default_factory=list)
    epoch_loss: list[float] = field(default_factory=list)
    epoch_error: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_error: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    images: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
