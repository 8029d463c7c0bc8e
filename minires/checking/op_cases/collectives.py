"""Cases of the ops that ranks compute together, with two ranks that hold the same numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minires import devices, ops
from minires.devices.communicator import Alone

from .case import Array, Case, Draw


class Mirrored(Alone):
    """A rank whose only companion is its mirror image.

    Both hold equal numbers, so that what is summed over them is twice what the rank has. As a step
    of a difference moves the inputs of both, it sees what the gradients of both add up to.
    """

    size = local_size = 2

    def all_reduce(self, array: Array) -> Array:
        """Double the array in place."""
        array += array
        return array

    def all_gather(self, array: Array) -> Array:
        """Return the array twice."""
        both: Array = devices.of(array).xp.stack([array, array])
        return both


def cases() -> Iterator[Case]:
    """Yield all of them."""
    draw, ranks = Draw(6), Mirrored()
    yield Case("all_reduce", "", lambda x: ops.all_reduce(x, ranks), (draw.normal(2, 3),))

    def sync_batch_norm(x: Any, weight: Any = None, bias: Any = None) -> Any:
        vectors = None, None, weight, bias
        return ops.sync_batch_norm(x, *vectors, training=True, communicator=ranks)

    for shape in ((5, 2), (3, 2, 2, 3)):
        inputs = draw.normal(*shape), draw.normal(shape[1]), draw.normal(shape[1])
        about = f"{len(shape)} dimensions"
        yield Case("sync_batch_norm", f"{about}, weight and bias", sync_batch_norm, inputs)
        yield Case("sync_batch_norm", f"{about}, neither", sync_batch_norm, inputs[:1])
