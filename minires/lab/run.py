"""What is recorded of one trained network."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal, NamedTuple

TwinKind = Literal["plain", "residual"]
TWINS: tuple[TwinKind, TwinKind] = ("plain", "residual")


class GradientSize(NamedTuple):
    """The gradient norm of one layer, at two moments.

    Attributes
    ----------
    layer : str
        The layer's path in the model.
    first_step : float
        At the first step, where all weights are as they were drawn.
    last_epoch : float
        The median over the last epoch's worth of steps.
    """

    layer: str
    first_step: float
    last_epoch: float


@dataclass
class Run:
    """The record of one twin's training.

    Attributes
    ----------
    depth : int
    twin : {"plain", "residual"}
    parameters : int
        How many numbers are learned.
    steps_per_epoch : int
    loss : list of float
        Of every step's batch, before the step.
    learning_rate, batch_error : list of float
        Of every epoch. The batch error is measured in training mode, on each batch just before it
        is learned from.
    train_error, train_loss, test_error, test_loss : list of float
        Of the network as it is after every epoch, on the whole training or test set, in evaluation
        mode. Errors are shares, 0 to 1.
    layers : list of str
        The convolutions and the linear layer, from the input on.
    gradient_norms : list of list of float
        For every step the Euclidean norm of each layer's weight gradient.
    images_per_second : float
        While training; measuring is not counted.
    seconds : float
        In all.
    diverged : str
        "" if it did not; else what was found.
    diverged_at : int or None
        The step whose loss was no number.
    weights : dict
        The model's final state, as host arrays by name.
    """

    depth: int
    twin: TwinKind
    parameters: int = 0
    steps_per_epoch: int = 1
    loss: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    batch_error: list[float] = field(default_factory=list)
    train_error: list[float] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    test_error: list[float] = field(default_factory=list)
    test_loss: list[float] = field(default_factory=list)
    layers: list[str] = field(default_factory=list)
    gradient_norms: list[list[float]] = field(default_factory=list)
    images_per_second: float = 0.0
    seconds: float = 0.0
    diverged: str = ""
    diverged_at: int | None = None
    weights: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """Such as ``"plain-56"``."""
        return f"{self.twin}-{self.depth}"

    @property
    def final_train_error(self) -> float | None:
        """Share of the training images that the trained network gets wrong; None if it diverged."""
        return None if self.diverged or not self.train_error else self.train_error[-1]

    @property
    def final_test_error(self) -> float | None:
        """The same of the test images."""
        return None if self.diverged or not self.test_error else self.test_error[-1]

    def gradient_size(self, layer: int) -> GradientSize | None:
        """Return the gradient norms of the layer with this number; None if no step was taken."""
        if not self.gradient_norms:
            return None
        column = [norms[layer] for norms in self.gradient_norms]
        last = median(column[-self.steps_per_epoch :])
        return GradientSize(self.layers[layer], column[0], last)
