"""How well a classifier does on a data set: mean loss and error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from minires.autograd import Tensor, no_grad
from minires.devices import Device
from minires.nn import Module

Batches = Iterable[tuple[Tensor, Tensor]]
Loss = Callable[[Tensor, Tensor], Tensor]


class Evaluation(NamedTuple):
    """The result of `Trainer.evaluate`.

    Attributes
    ----------
    loss : float
        Mean over all images.
    error : float
        Share of the images that are misclassified, 0 to 1.
    images : int
        How many there were.
    """

    loss: float
    error: float
    images: int


def evaluate(model: Module, loss: Loss, loader: Batches) -> Evaluation:
    """Run `model` over `loader` in evaluation mode, without recording.

    Every module is afterwards in the mode in which it was.

    Raises
    ------
    ValueError
        If the loader yields nothing.
    """
    device = device_of(model)
    total, mistakes, count = 0.0, 0, 0
    with evaluation_mode(model), no_grad():
        for batch in loader:
            images, labels = (tensor.to(device) for tensor in batch)
            logits = model(images)
            size = len(labels.data)
            total += float(loss(logits, labels).item()) * size
            mistakes += count_mistakes(logits, labels)
            count += size
    if count == 0:
        raise ValueError("evaluate: the loader yields no batch; is its data set empty?")
    return Evaluation(total / count, mistakes / count, count)


@contextmanager
def evaluation_mode(model: Module) -> Iterator[None]:
    """Switch to evaluation mode inside the block; afterwards each module to what it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            vars(module)["training"] = mode


def count_mistakes(logits: Tensor, labels: Tensor) -> int:
    """Count the rows of logits (N, C) whose largest entry is not at labels (N,).

    A row that holds NaN or infinity answers nothing, and counts as a mistake.
    """
    scores: Any = logits.device.to_numpy(logits.detach().data)
    truth: Any = labels.device.to_numpy(labels.data)
    right = (scores.argmax(axis=1) == truth) & np.isfinite(scores).all(axis=1)
    return len(truth) - int(right.sum())


def device_of(model: Module) -> Device | str:
    """Return the device of the model's parameters; the CPU for a model without any."""
    parameter = next(model.parameters(), None)
    return "cpu" if parameter is None else parameter.device
