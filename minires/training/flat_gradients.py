"""The gradients of all parameters in one buffer, so that ranks exchange them in one message."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minires.autograd import Tensor
from minires.devices import Device
from minires.devices.communicator import Communicator


class FlatGradients:
    """Sums gradients over all ranks.

    A message costs some time however short it is, and a network has a hundred gradients; so they
    are copied into one buffer, one for each dtype, and back. Every parameter that requires a
    gradient has its place there, whether it has one on this rank or not: what is on the wire is
    alike on all ranks. One more number per parameter tells on how many ranks it had a gradient.

    Parameters
    ----------
    communicator : Communicator

    Examples
    --------
    >>> import minires as mr
    >>> from minires.training.distributed import Alone
    >>> weight = mr.ones(2, requires_grad=True)
    >>> weight.grad = mr.tensor([1.0, 2.0])
    >>> FlatGradients(Alone()).add_up([weight])
    >>> weight.grad
    tensor([1., 2.])
    """

    def __init__(self, communicator: Communicator) -> None:
        self.communicator = communicator
        self._buffers: dict[tuple[Device, str], Any] = {}

    def add_up(self, parameters: Iterable[Tensor]) -> None:
        """Replace each gradient by the sum of all ranks' gradients of the same parameter.

        A parameter without gradient on every rank stays without one.

        Parameters
        ----------
        parameters : iterable of Tensor
            In the same order on all ranks.
        """
        alike: dict[tuple[Device, str], list[Tensor]] = {}
        for parameter in parameters:
            if parameter.requires_grad:
                alike.setdefault((parameter.device, str(parameter.dtype)), []).append(parameter)
        for (device, dtype), some in alike.items():
            size = len(some) + sum(parameter._data.size for parameter in some)
            buffer = self._buffers.get((device, dtype))
            if buffer is None or buffer.size != size:
                buffer = self._buffers[device, dtype] = device.xp.empty(size, dtype)
            self._exchange(some, buffer, device)

    def _exchange(self, parameters: list[Tensor], buffer: Any, device: Device) -> None:
        count = len(parameters)
        present = [float(parameter.grad is not None) for parameter in parameters]
        buffer[:count] = device.array(present, buffer.dtype)
        places, start = [], count
        for parameter in parameters:
            stop = start + parameter._data.size
            places.append(buffer[start:stop].reshape(parameter.shape))
            places[-1][...] = 0 if parameter.grad is None else parameter.grad._data
            start = stop
        self.communicator.all_reduce(buffer)
        on_ranks = device.to_numpy(buffer[:count]).tolist()
        for parameter, place, ranks in zip(parameters, places, on_ranks, strict=True):
            if parameter.grad is not None:
                parameter.grad.copy_(Tensor._wrap(place))
            elif ranks:
                parameter.grad = Tensor._wrap(place.copy())
