"""What is read of arrays: at once where that is free, all together where it is a copy.

On a GPU computing runs ahead of Python, and every look at a number waits for all that was launched.
So a recording launches its measurements there, and reads them when it ends, in one copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from minires.devices import Array, Device


class _Waiting(NamedTuple):
    """Arrays on a device, as bytes, with their shapes and dtypes; and who wants them."""

    device: Device
    pieces: list[Array]
    forms: list[tuple[tuple[int, ...], Any]]
    use: Callable[..., None]


class Readings:
    """Hands arrays to functions of host arrays, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []

    def read(
        self,
        device: Device,
        arrays: Sequence[Array],
        use: Callable[..., None],
        alive: bool = False,
    ) -> None:
        """Call ``use(*arrays)`` with the arrays on the host: now, or in `settle`.

        Parameters
        ----------
        device : Device
            Where the arrays are; without arrays, where those are that `use` has to wait for.
        arrays : sequence of array
        use : callable
        alive : bool
            Somebody may write into the arrays before they are read.
        """
        if device.synchronous:
            use(*arrays)
            return
        xp = device.xp
        dense = [
            xp.array(array, order="C") if alive else xp.ascontiguousarray(array) for array in arrays
        ]
        pieces = [array.reshape(-1).view("uint8") for array in dense]
        forms = [(array.shape, array.dtype) for array in arrays]
        self._waiting.append(_Waiting(device, pieces, forms, use))

    def settle(self) -> None:
        """Copy what is waiting to the host, one copy from each device, and hand it on."""
        waiting, self._waiting = self._waiting, []
        pieces: dict[Device, list[Array]] = {}
        for one in waiting:
            pieces.setdefault(one.device, []).extend(one.pieces)
        found = {device: _copied(device, of_device) for device, of_device in pieces.items()}
        for device, _, forms, use in waiting:
            use(*[next(found[device]).view(dtype).reshape(shape) for shape, dtype in forms])


def _copied(device: Device, pieces: list[Array]) -> Iterator[Array]:
    """Copy bytes to the host, all at once, and give them piece by piece."""
    if pieces:
        joined, start = device.to_numpy(device.xp.concatenate(pieces)), 0
        for piece in pieces:
            yield joined[start : start + piece.size]
            start += piece.size
