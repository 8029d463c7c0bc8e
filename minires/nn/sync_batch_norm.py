"""Batch normalisation over the ranks of a distributed computation."""

from __future__ import annotations

from minires import ops
from minires.autograd import Tensor
from minires.devices.communicator import Alone, Communicator

from .layers import _BatchNorm
from .module import Module


class SyncBatchNorm(_BatchNorm):
    """Batch normalisation by the statistics of all ranks' batches.

    n ranks with B/n images each then compute what one rank computes with B. Layers such as
    `BatchNorm2d` use the images of their own rank alone: quicker, and with so few images per rank
    that the statistics are poor, worse. In evaluation mode the two are the same, and no rank waits.

    Parameters
    ----------
    num_features, eps, momentum, affine, track_running_stats
        As for `BatchNorm2d`.
    communicator : Communicator
        The ranks; without one, this process alone.

    Attributes
    ----------
    communicator : Communicator
    weight, bias, running_mean, running_var, num_batches_tracked
        As of `BatchNorm2d`.

    Examples
    --------
    >>> import minires as mr
    >>> mr.nn.SyncBatchNorm(3)(mr.randn(2, 3, 4, 4)).shape
    (2, 3, 4, 4)
    """

    _input_dims = (2, 3, 4)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        communicator: Communicator | None = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats)
        self.communicator = Alone() if communicator is None else communicator

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (N, C, ...), this rank's part of the batch."""
        vectors, settings = self.begin(x)
        # In evaluation ranks go through batches each for itself, also without running statistics.
        ranks = self.communicator if self.training else Alone()
        return ops.sync_batch_norm(x, *vectors, **settings, communicator=ranks)


def convert_sync_batchnorm(module: Module, communicator: Communicator) -> Module:
    """Make every batch normalisation below a module one over all ranks.

    Parameters and buffers stay the very same Tensors, so that an optimiser that knows them goes on
    working, and the names in a state dict stay, too.

    Parameters
    ----------
    module : Module
        Changed in place.
    communicator : Communicator
        The ranks.

    Returns
    -------
    Module
        The module itself; if it is a batch normalisation, what takes its place.

    Examples
    --------
    >>> import minires as mr
    >>> from minires.training.distributed import Alone
    >>> model = mr.nn.Sequential(mr.nn.Conv2d(3, 4, 1), mr.nn.BatchNorm2d(4))
    >>> mr.nn.convert_sync_batchnorm(model, Alone())[1]
    SyncBatchNorm(4, eps=1e-05, momentum=0.1)
    """
    made: dict[Module, SyncBatchNorm] = {}  # one that stands in two places stays one

    def converted(norm: _BatchNorm) -> SyncBatchNorm:
        if norm not in made:
            made[norm] = _converted(norm, communicator)
        return made[norm]

    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, _BatchNorm):
                parent.add_module(name, converted(child))
    return converted(module) if isinstance(module, _BatchNorm) else module


def _converted(norm: _BatchNorm, communicator: Communicator) -> SyncBatchNorm:
    settings = norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats
    made = SyncBatchNorm(*settings, communicator=communicator).train(norm.training)
    for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
        setattr(made, name, getattr(norm, name))
    return made
