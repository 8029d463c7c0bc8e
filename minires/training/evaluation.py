"""How well a classifier does on a data set: mean loss and error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from minires.autograd import Tensor, no_grad
from minires.devices import Device, get
from minires.nn import Module

from .ledger import Ledger, Measured
from .overlap import as_host, confusion_matrix

Batches = Iterable[tuple[Tensor, Tensor]]
Loss = Callable[[Tensor, Tensor], Tensor]
Confusion = np.ndarray[Any, Any]

# As many batches are measured before the host waits for the device, to read the results.
_BATCHES_PER_READING = 256


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
    confusion : array, (classes, classes), int64, or None
        How many images of each class (row) were taken for which (column), if that was asked for.
    """

    loss: float
    error: float
    images: int
    confusion: Confusion | None = None


def evaluate(model: Module, loss: Loss, loader: Batches, *, confusion: bool = False) -> Evaluation:
    """Run `model` over `loader` in evaluation mode, without recording.

    Every module is afterwards in the mode in which it was.

    Parameters
    ----------
    model : Module
    loss : callable
    loader : iterable of (images, labels)
    confusion : bool
        Count as well what was taken for what; a GPU is then waited for after every batch.

    Raises
    ------
    ValueError
        If the loader yields nothing.
    TypeError
        If what it yields are no batches of Tensors.
    """
    measured, counts = measure(model, loss, loader, confusion)
    if not any(batch.images for batch in measured):
        raise ValueError("evaluate: the loader yields no batch; is its data set empty?")
    return summarized(measured)._replace(confusion=counts)


def measure(
    model: Module, loss: Loss, loader: Batches, confusion: bool
) -> tuple[list[Measured], Confusion | None]:
    """Do what `evaluate` does: what each batch cost, and what was taken for what in all of them."""
    device = device_of(model)
    ledger = Ledger(device, _BATCHES_PER_READING)
    measured: list[Measured] = []
    counts: Confusion | None = None
    # Overflow shows in the result, rather than by NumPy's warnings.
    with evaluation_mode(model), no_grad(), device.quiet():
        for number, batch in enumerate(loader):
            if number == 0:
                require_tensors("evaluate", batch)
            images, labels = (tensor.to(device) for tensor in batch)
            if not len(labels.data):  # a rank's part of a small batch, of which there is no mean
                continue
            logits = model(images)
            ledger.add(loss(logits, labels), logits, labels)
            if confusion:
                answers, right = as_host(logits).argmax(1), as_host(labels)
                right = right.argmax(1) if right.ndim == logits.ndim else right  # soft labels
                found = confusion_matrix(answers, right, logits.shape[1])
                counts = found if counts is None else counts + found
            if ledger.is_full:
                measured += ledger.read()
    return measured + ledger.read(), counts


def require_tensors(who: str, batch: Any) -> None:
    """Raise a TypeError if a batch is not (images, labels), both Tensors."""
    parts = batch if isinstance(batch, tuple | list) else [batch]
    if len(parts) == 2 and all(isinstance(part, Tensor) for part in parts):
        return
    kinds = ", ".join(type(part).__name__ for part in parts)
    raise TypeError(
        f"{who}: a batch should be (images, labels), two Tensors; found ({kinds}). A data set goes"
        " into a minires.data.DataLoader, which makes batches of it; an array into minires.tensor"
    )


def summarized(measured: list[Measured]) -> Evaluation:
    """Return the means over all images of some batches."""
    total, mistakes, count = 0.0, 0, 0
    for batch in measured:
        total += batch.loss * batch.images
        mistakes += batch.mistakes
        count += batch.images
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


def device_of(model: Module) -> Device:
    """Return the device of the model's parameters; the CPU for a model without any."""
    parameter = next(model.parameters(), None)
    return get("cpu") if parameter is None else parameter.device
