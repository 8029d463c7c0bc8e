"""Sums over the ranks of a distributed computation."""

from __future__ import annotations

from minires.autograd import Tensor, op
from minires.devices import Array
from minires.devices.communicator import Communicator


@op(name="all_reduce")
def _all_reduce(input: Array, *, communicator: Communicator) -> Array:
    return communicator.all_reduce(input.copy())


@_all_reduce.vjp
def _(g: Array, communicator: Communicator) -> Array:
    return _all_reduce(g, communicator=communicator)


def all_reduce(input: Tensor, communicator: Communicator) -> Tensor:
    """Sum over all ranks: y_r = sum_s x_s, the same on every rank r.

    Each x_s enters the y_r of every rank, so its gradient is the sum of theirs. Ranks that share a
    loss therefore go back each from its own part of it, and the parts add up to the loss.

    Parameters
    ----------
    input : Tensor
        Of equal shape and dtype on all ranks.
    communicator : Communicator
        Forward and backward pass wait for all ranks.

    Returns
    -------
    Tensor
        Of the input's shape.

    Examples
    --------
    >>> import minires as mr
    >>> from minires.training.distributed import Alone
    >>> mr.ops.all_reduce(mr.tensor([1.0, 2.0]), Alone())
    tensor([1., 2.])
    """
    return _all_reduce(input, communicator=communicator)
