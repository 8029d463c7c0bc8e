"""The loader: batches of a data set, in an order that depends on the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minires.autograd import Tensor

from .dataset import batch_of


class DataLoader:
    """Iterate over a data set in batches of Tensors.

    The order of an epoch is a function of (`seed`, epoch): not of what else drew random numbers,
    nor of how far earlier epochs got. Each ``for`` loop is the next epoch.

    Parameters
    ----------
    dataset : Dataset
        Or anything with a length and samples by number.
    batch_size : int
        Samples per batch; the last batch may have fewer.
    shuffle : bool
        Draw a new order for every epoch.
    drop_last : bool
        Leave out a last batch that is not full.
    seed : int
        Where the orders come from.

    Attributes
    ----------
    epoch : int
        The epoch that the next loop runs through.

    Raises
    ------
    ValueError
        If `batch_size` is below 1, or `seed` is negative.

    Examples
    --------
    >>> import minires as mr
    >>> dataset = mr.data.TensorDataset([0.0, 1.0, 2.0], [0, 1, 2])
    >>> for x, y in mr.data.DataLoader(dataset, batch_size=2):
    ...     x, y
    (tensor([0., 1.]), tensor([0, 1]))
    (tensor([2.]), tensor([2]))
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int = 0,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"DataLoader: batch_size must be at least 1, found {batch_size}")
        if seed < 0:
            raise ValueError(f"DataLoader: seed must be an integer >= 0, found {seed}")
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full if self.drop_last or not rest else full + 1

    def set_epoch(self, epoch: int) -> None:
        """Make `epoch` (0, 1, ...) the one that the next loop runs through.

        Raises
        ------
        ValueError
            If it is negative.
        """
        if epoch < 0:
            raise ValueError(f"DataLoader: an epoch is a number >= 0, found {epoch}")
        self.epoch = epoch

    def order(self, epoch: int) -> np.ndarray[Any, Any]:
        """Return the samples' numbers in the order of `epoch`, (N,), int64."""
        count = len(self.dataset)
        if not self.shuffle:
            return np.arange(count)
        return np.random.default_rng([self.seed, epoch]).permutation(count)

    def __iter__(self) -> Iterator[Any]:
        """Begin the next epoch; a loop that is broken off counts as one, too."""
        epoch, self.epoch = self.epoch, self.epoch + 1
        return self._batches(self.order(epoch))

    def _batches(self, order: np.ndarray[Any, Any]) -> Iterator[Any]:
        for number in range(len(self)):
            start = number * self.batch_size
            batch = batch_of(self.dataset, order[start : start + self.batch_size])
            yield (
                tuple(map(Tensor._wrap, batch)) if isinstance(batch, tuple) else Tensor._wrap(batch)
            )
