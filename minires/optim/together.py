"""Updating many parameters at once, where each small operation costs a launch, and in graphs.

A captured graph repeats what was launched, with the numbers that were written into the launches. So
the learning rate, which changes, is kept in the device's memory; the other options are not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minires.autograd import Tensor
from minires.devices import Array, Device

Options = dict[str, Any]


class DeviceRate:
    """A group's learning rate in the memory of a device.

    Attributes
    ----------
    array : array, (1,), float64
        What kernels read.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._value: float | None = None
        self._launched: Options = {}
        self.array: Array = device.xp.empty(1, "float64")

    def follow(self, options: Options) -> None:
        """Hold the rate that the group has now.

        Raises
        ------
        RuntimeError
            If it changed, and a graph is being captured, which would set it back in every replay.
        """
        value = float(options["lr"])
        if value == self._value:
            return
        if self._device.is_capturing():
            raise RuntimeError(
                "the optimiser's first step, and a step after a change of the learning rate,"
                " cannot be captured in a graph; take one step before the capture, and call"
                " refresh() after the change"
            )
        self.array.fill(value)
        self._value = value

    def launched(self, options: Options) -> None:
        """Remember the options that stand in the launches of a step."""
        self._launched = _constants(options)

    def check(self, options: Options) -> None:
        """Raise RuntimeError if an option that a captured graph has frozen has changed since."""
        for name, value in _constants(options).items():
            if value != self._launched.get(name, value):
                raise RuntimeError(
                    f"{name} was {self._launched[name]!r} when the step was captured and is"
                    f" {value!r} now; only the learning rate can change between replays. Capture"
                    " the step again"
                )


def _constants(options: Options) -> Options:
    return {key: value for key, value in options.items() if key not in _CHANGING}


_CHANGING = ("params", "lr", "initial_lr")


def alike(parameters: Iterable[Tensor]) -> list[list[Tensor]]:
    """Group parameters of the same device and dtype, in their order."""
    groups: dict[Any, list[Tensor]] = {}
    for parameter in parameters:
        groups.setdefault((parameter.device, parameter._data.dtype), []).append(parameter)
    return list(groups.values())


def gradients(parameters: Iterable[Tensor]) -> list[Array]:
    """Return the arrays of the parameters' gradients; each has one."""
    return [parameter.grad._data for parameter in parameters if parameter.grad is not None]
