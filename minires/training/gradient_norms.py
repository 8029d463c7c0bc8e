"""The size of every weight's gradient while a network trains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minires import devices
from minires.nn import Module

from .callbacks import Callback

if TYPE_CHECKING:
    from .trainer import Trainer


class GradientNorms(Callback):
    """Keep the Euclidean norm of the gradient of every convolution and linear weight.

    Parameters
    ----------
    model : Module
        Its parameters with two axes or more are watched, in the order of the layers.
    every : int
        Look at every so many-th step; the first step is always looked at.

    Attributes
    ----------
    layers : list of str
        The module's path of each weight, such as ``"layer1.0.conv1"``.
    steps : list of int
        The steps that were looked at, counted from 1.
    norms : list of list of float
        For each of those steps, one norm per layer.

    Examples
    --------
    >>> import minires as mr
    >>> GradientNorms(mr.models.cifar_resnet(8)).layers[:2]
    ['conv1', 'layer1.0.conv1']
    """

    def __init__(self, model: Module, every: int = 1) -> None:
        if every < 1:
            raise ValueError(f"GradientNorms: every must be at least 1, found {every}")
        self.every = every
        weights = {
            name.removesuffix(".weight"): parameter
            for name, parameter in model.named_parameters()
            if parameter.ndim >= 2
        }
        self.layers = list(weights)
        self._weights = list(weights.values())
        self.steps: list[int] = []
        self.norms: list[list[float]] = []

    def on_step(self, trainer: Trainer, step: int) -> None:
        """Measure the gradients of this step."""
        if (step - 1) % self.every:
            return
        self.steps.append(step)
        gradients = [weight.grad for weight in self._weights]
        arrays = [None if gradient is None else gradient.data for gradient in gradients]
        self.norms.append(norms(arrays))


def norms(arrays: Sequence[Any]) -> list[float]:
    """Return the Euclidean norm of each array, 0 for None.

    Those of a GPU are squared there and come to the host together: every look would wait for it.
    """
    found = dict.fromkeys(range(len(arrays)), 0.0)
    squares = {}
    for number, array in enumerate(arrays):
        if array is None:
            continue
        device = devices.of(array)
        if device.synchronous or array.dtype == devices.float64:
            found[number] = norm(device.to_numpy(array))
        else:  # in float64, squares of narrower numbers neither over- nor underflow
            squares[number] = (array.astype(devices.float64) ** 2).sum()
    if squares:
        device = devices.of(next(iter(squares.values())))
        told = device.to_numpy(device.xp.stack(list(squares.values())))
        found |= {number: math.sqrt(each) for number, each in zip(squares, told, strict=True)}
    return list(found.values())


def norm(array: Any) -> float:
    """Return the Euclidean norm, in float64, also where squares would over- or underflow.

    Examples
    --------
    >>> norm(np.array([3.0, 4.0]) * 2.0**900) == 5.0 * 2.0**900
    True
    """
    values = np.asarray(array, np.float64).ravel(order="K")
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        square = float(values @ values)
    if 1e-280 < square < np.inf:  # below, the squares of small entries were rounded to 0
        return math.sqrt(square)
    largest = float(np.abs(values).max(initial=0.0))
    if largest == 0.0 or not math.isfinite(largest):
        return largest
    scale = math.ldexp(1.0, math.frexp(largest)[1] - 1)  # a power of two: dividing rounds nothing
    scaled = values / scale
    return scale * math.sqrt(float(scaled @ scaled))
