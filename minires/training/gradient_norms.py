"""The size of every weight's gradient while a network trains."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from minires.autograd import Tensor
from minires.devices import Device
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
        For each of those steps, one norm per layer. On a GPU norms are computed right after the
        step, and the lists grow when the trainer looks at the losses.

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
        self._unread: list[tuple[int, Any]] = []

    def on_step(self, trainer: Trainer, step: int) -> None:
        """Measure the gradients of this step."""
        if (step - 1) % self.every:
            return
        gradients = [weight.grad for weight in self._weights]
        devices = {weight.device for weight in self._weights}
        if len(devices) == 1 and not (device := devices.pop()).synchronous:
            self._unread.append((step, norms_on(device, gradients)))
            return
        self.steps.append(step)
        self.norms.append(
            [0.0 if g is None else norm(g.device.to_numpy(g.data)) for g in gradients]
        )

    def on_look(self, trainer: Trainer, step: int) -> None:
        """Read what was measured on a GPU, up to a step."""
        known = [entry for entry in self._unread if entry[0] <= step]
        self._unread = []  # what is not known by now are steps that will not have happened
        for measured_at, row in known:
            self.steps.append(measured_at)
            self.norms.append(self._weights[0].device.to_numpy(row).tolist())


def norms_on(device: Device, gradients: list[Tensor | None]) -> Any:
    """Return the norms of some gradients as an array of their device, without waiting for it.

    Squares are summed in float64, in which those of float32 neither over- nor underflow.
    """
    xp = device.xp
    norms = xp.zeros(len(gradients), "float64")
    for position, gradient in enumerate(gradients):
        if gradient is not None:
            values = gradient.data.astype("float64")
            norms[position] = xp.sqrt((values * values).sum())
    return norms


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
