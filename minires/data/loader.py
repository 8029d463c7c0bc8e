"""The loader: batches of a data set, in an order that depends on the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

import numpy as np

from minires.autograd import Tensor

from .epochs import Epoch
from .transforms import Compose, MixUp, Transform
from .workers import KINDS, made_by_workers


class DataLoader:
    """Iterate over a data set in batches of Tensors.

    The order of an epoch is a function of (`seed`, epoch): not of what else drew random numbers,
    nor of how far earlier epochs got. What a transform does to a sample is a function of (`seed`,
    epoch, the sample's number). So the batches are the same for any number of workers of either
    kind, and those of several ranks are together those of one. Each ``for`` loop is the next epoch.

    Parameters
    ----------
    dataset : Dataset
        Or anything with a length and samples by number.
    batch_size : int
        Samples per batch, of all ranks together; the last batch may have fewer.
    shuffle : bool
        Draw a new order for every epoch.
    drop_last : bool
        Leave out a last batch that is not full.
    seed : int
        Where the orders come from, and what transforms draw.
    transform : Transform, optional
        Of `minires.data.transforms`; what is done to the images, the first part of a sample.
    mixup : MixUp, optional
        Mix the images of a batch, and their labels, which become (N, classes).
    num_workers : int
        How many make batches ahead, in the background; with 0, each is made when it is asked for.
    worker_kind : {"thread", "process"}
        Threads share the data set, and the interpreter: they suit NumPy and Pillow, which let go of
        it. Processes are started (spawned, never forked) for each loop, and get a copy.
    prefetch : int
        How many batches each worker has ready at most.
    rank, ranks : int
        Return every `ranks`-th sample of each batch, from number `rank` on. All ranks have the same
        number of batches: of a last one with fewer samples than ranks, some have an empty part.

    Attributes
    ----------
    epoch, batch : int
        Where the next loop begins.

    Raises
    ------
    ValueError
        If a number makes no sense.
    TypeError
        If `transform` or `mixup` is none.

    Examples
    --------
    >>> import minires as mr
    >>> dataset = mr.data.TensorDataset([0.0, 1.0, 2.0], [0, 1, 2])
    >>> loader = mr.data.DataLoader(dataset, batch_size=2)
    >>> loader
    DataLoader(3 samples, batch_size=2, shuffle=False, num_workers=0)
    >>> for x, y in loader:
    ...     x, y
    (tensor([0., 1.]), tensor([0, 1]))
    (tensor([2.]), tensor([2]))

    In training, images are augmented:

    >>> from minires.data import transforms
    >>> train = mr.data.TensorDataset(np.zeros((6, 3, 32, 32), np.uint8), [0] * 6)
    >>> augment = transforms.Compose(
    ...     [
    ...         transforms.RandomCrop(32, padding=4),
    ...         transforms.RandomHorizontalFlip(),
    ...         transforms.Normalize(mean=[0.5] * 3, std=[0.25] * 3),
    ...     ]
    ... )
    >>> loader = mr.data.DataLoader(train, 4, shuffle=True, transform=augment, num_workers=1)
    >>> [x.shape for x, _ in loader]
    [(4, 3, 32, 32), (2, 3, 32, 32)]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int = 0,
        *,
        transform: Transform | None = None,
        mixup: MixUp | None = None,
        num_workers: int = 0,
        worker_kind: str = "thread",
        prefetch: int = 2,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        for name, number, least in (
            ("batch_size", batch_size, 1),
            ("num_workers", num_workers, 0),
            ("prefetch", prefetch, 1),
            ("ranks", ranks, 1),
        ):
            if number < least:
                raise ValueError(f"DataLoader: {name} must be at least {least}, found {number}")
        if seed < 0:
            raise ValueError(f"DataLoader: seed must be an integer >= 0, found {seed}")
        if worker_kind not in KINDS:
            raise ValueError(
                f"DataLoader: worker_kind must be one of {', '.join(KINDS)}; found {worker_kind!r}"
            )
        if not 0 <= rank < ranks:
            raise ValueError(f"DataLoader: rank must be one of 0 to {ranks - 1}, found {rank}")
        if batch_size < ranks:
            raise ValueError(
                f"DataLoader: a batch of {batch_size} is too small for {ranks} ranks; batch_size is"
                " that of all ranks together"
            )
        if mixup is not None and not isinstance(mixup, MixUp):
            raise TypeError(f"DataLoader: mixup must be a MixUp, found {mixup!r}")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.seed = seed
        self.transform = None if transform is None else Compose([transform])
        self.mixup = mixup
        self.num_workers = num_workers
        self.worker_kind = worker_kind
        self.prefetch = prefetch
        self.rank = rank
        self.ranks = ranks
        self.epoch = 0
        self.batch = 0
        self._reached = 0, 0

    def __repr__(self) -> str:
        return (
            f"DataLoader({len(self.dataset)} samples, batch_size={self.batch_size},"
            f" shuffle={self.shuffle}, num_workers={self.num_workers})"
        )

    def __len__(self) -> int:
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full if self.drop_last or not rest else full + 1

    def global_batch_size(self, batch: int) -> int:
        """Return how many samples a batch has on all ranks together."""
        return min(self.batch_size, len(self.dataset) - batch * self.batch_size)

    def set_epoch(self, epoch: int, batch: int = 0) -> None:
        """Make the next loop run through `epoch` (0, 1, ...), from the batch with this number on.

        Those before it are not made. From batch ``len(loader)`` on there is none.

        Raises
        ------
        ValueError
            If there is no such epoch or batch.
        """
        if epoch < 0:
            raise ValueError(f"DataLoader: an epoch is a number >= 0, found {epoch}")
        if not 0 <= batch <= len(self):
            raise ValueError(
                f"DataLoader: an epoch has {len(self)} batches, and cannot begin at batch {batch}"
            )
        self.epoch, self.batch = epoch, batch
        self._reached = epoch, batch

    def state_dict(self) -> dict[str, int]:
        """Return how far the newest loop has got: its epoch, and how many batches it returned.

        In the body of a loop, that is the batch to go on with once this one is done.
        """
        epoch, batch = self._reached
        return {"epoch": epoch, "batch": batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Make the next loop go on where `state_dict` was asked for.

        Raises
        ------
        ValueError
            If this loader has no such batch.
        """
        self.set_epoch(state["epoch"], state["batch"])

    def order(self, epoch: int) -> np.ndarray[Any, Any]:
        """Return the samples' numbers in the order of `epoch`, (N,), int64."""
        count = len(self.dataset)
        if not self.shuffle:
            return np.arange(count)
        return np.random.default_rng([self.seed, epoch]).permutation(count)

    def __iter__(self) -> Iterator[Any]:
        """Begin the next epoch; a loop that is broken off counts as one, too."""
        epoch, batch = self.epoch, self.batch
        self.epoch, self.batch = epoch + 1, 0
        self._reached = epoch, batch
        return self._run(epoch, batch)

    def _run(self, epoch: int, first: int) -> Iterator[Any]:
        # Closed at once when the loop is left, by whatever way: then no worker is left behind.
        with closing(self._made(epoch, range(first, len(self)))) as batches:
            for number, batch in enumerate(batches, first):
                self._reached = epoch, number + 1
                yield batch
        self._reached = epoch + 1, 0

    def _made(self, epoch: int, numbers: range) -> Generator[Any, None, None]:
        plan = Epoch(
            self.dataset,
            self.order(epoch),
            self.batch_size,
            self.seed,
            epoch,
            self.transform,
            self.mixup,
            self.rank,
            self.ranks,
        )
        if self.num_workers:
            made = made_by_workers(plan, numbers, self.num_workers, self.worker_kind, self.prefetch)
        else:
            made = (plan.batch(number) for number in numbers)
        with closing(made) as batches:
            for batch in batches:
                yield (
                    tuple(map(Tensor._wrap, batch))
                    if isinstance(batch, tuple)
                    else Tensor._wrap(batch)
                )
