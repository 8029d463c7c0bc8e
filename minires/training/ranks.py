"""What the trainers of several ranks say to each other in a step."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from contextlib import contextmanager

from minires import devices
from minires.autograd import Tensor
from minires.devices.communicator import Alone, Communicator
from minires.nn import Module, SyncBatchNorm
from minires.optim import Optimizer

from .distributed import DistributedError, check_alike, digest, summed
from .divergence import DivergedError, Finding
from .evaluation import Batches, Evaluation, Loss, measure
from .flat_gradients import FlatGradients
from .ledger import Measured


class Ranks:
    """The other ranks, as a trainer sees them.

    Each rank has some images of every batch. Its loss counts by their share of the whole batch, so
    that losses and gradients *add up* to those of one rank with all images; a share, and not an
    average behind the backward pass, for that would be wrong where ranks have different numbers of
    images and `SyncBatchNorm` passes gradients between them.

    Parameters
    ----------
    communicator : Communicator
    """

    def __init__(self, communicator: Communicator) -> None:
        self.communicator = communicator
        self.gradients = FlatGradients(communicator)

    def counts(self, images: int | None) -> list[int]:
        """Return how many images of the present batch each rank has.

        Parameters
        ----------
        images : int or None
            On this rank, or that its loader yields no further batch.

        Raises
        ------
        DistributedError
            On all ranks, if only some have a further batch, or none has any image of it.
        """
        own = devices.cpu.array([-1 if images is None else images], "int64")
        found: list[int] = self.communicator.all_gather(own)[:, 0].tolist()
        if len({count < 0 for count in found}) > 1:
            raise DistributedError(
                f"the loader of rank {found.index(-1)} yields fewer batches than that of rank"
                f" {next(rank for rank, count in enumerate(found) if count >= 0)}; all ranks need"
                " equally many, such as a DataLoader with rank and ranks makes"
            )
        if not any(found):
            raise DistributedError("no rank has an image of this batch; is the data set empty?")
        return found

    def add_up(self, optimizer: Optimizer) -> None:
        """Replace gradients by their sums over all ranks."""
        groups = optimizer.param_groups
        self.gradients.add_up(parameter for group in groups for parameter in group["params"])

    def together(self, own: Measured) -> Measured:
        """Return the sums over all ranks; the losses are shares of the batch's mean."""
        loss, mistakes, images = summed(self.communicator, *own)
        return Measured(loss, int(mistakes), int(images))

    def agree(self, error: DivergedError) -> DivergedError:
        """Return what the first rank found that knows where the loss was lost.

        The loss is that of all ranks, and each has looked at its own part for the reason.
        """
        finding = Finding(error.cause, "", error.op, error.module, error.parameter)
        found = self.communicator.gather((str(error), finding)) or []
        known = (
            (f"{message} (It arose on rank {rank}.)", finding)
            for rank, (message, finding) in enumerate(found)
            if finding.cause != "unknown"
        )
        message, finding = self.communicator.tell(next(known, (str(error), finding)))
        return DivergedError(message, finding, error.step, error.epoch, error.loss)

    def check_length(self, loader: Batches) -> None:
        """Raise DistributedError if the ranks' loaders differ in their number of batches."""
        length = str(len(loader)) if isinstance(loader, Sized) else "unknown"
        check_alike(self.communicator, "the number of batches", length)

    def check_alike(self, model: Module) -> None:
        """Raise DistributedError if the ranks' parameters are not the same to the bit."""
        own = digest(dict(model.named_parameters()))
        check_alike(self.communicator, "the checksum of the parameters", own)

    def evaluate(self, model: Module, loss: Loss, loader: Batches, confusion: bool) -> Evaluation:
        """Measure rank 0's network on what all ranks' loaders yield.

        Where running statistics differ between ranks, the others borrow those of rank 0.
        """
        with borrowed_buffers(model, self.communicator):
            measured, counts = measure(model, loss, loader, confusion)
        own = (
            sum(batch.loss * batch.images for batch in measured),
            sum(batch.mistakes for batch in measured),
            sum(batch.images for batch in measured),
        )
        lost, wrong, images = summed(self.communicator, *own)
        if not images:
            raise ValueError("evaluate: no rank's loader yields a batch; is its data set empty?")
        found = self.communicator.gather(counts) or []
        known = [each for each in found if each is not None]  # a rank may have had no image
        total = self.communicator.tell(sum(known[1:], known[0]) if known else None)
        return Evaluation(lost / images, wrong / images, int(images), total)


@contextmanager
def apart(model: Module) -> Iterator[None]:
    """Let no module below wait for other ranks inside the block."""
    norms = [module for module in model.modules() if isinstance(module, SyncBatchNorm)]
    kept = [norm.communicator for norm in norms]
    for norm in norms:
        norm.communicator = Alone()
    try:
        yield
    finally:
        for norm, communicator in zip(norms, kept, strict=True):
            norm.communicator = communicator


@contextmanager
def borrowed_buffers(model: Module, communicator: Communicator) -> Iterator[None]:
    """Have rank 0's buffers on all ranks inside the block."""
    kept: list[tuple[Tensor, Tensor]] = []
    for buffer in model.buffers():
        own = buffer.detach().data.copy()
        kept.append((buffer, Tensor._wrap(own)))
        buffer.copy_(Tensor._wrap(communicator.broadcast(own.copy())))
    try:
        yield
    finally:
        for buffer, own in kept:
            buffer.copy_(own)
