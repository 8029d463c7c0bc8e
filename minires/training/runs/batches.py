"""A run's batches: which transforms its images go through, and in which loaders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Any, NamedTuple

from minires.autograd import Tensor
from minires.data import DataLoader, get_dataset

from .config import ConfigError, RunConfig

__all__ = ["EVALUATION_BATCH", "Batches", "FirstBatches", "batches_of", "seen"]

EVALUATION_BATCH = 256
# He et al. 2015: the shorter side, at random in training; the square that is cut out of it.
SHORTER, MIDDLE, CROP = (256, 480), 256, 224


class Batches(NamedTuple):
    """The loaders of a run; `validation` is None where nothing is kept for it."""

    split: Any
    train: DataLoader
    validation: DataLoader | None
    test: DataLoader


def batches_of(config: RunConfig, rank: int = 0, ranks: int = 1) -> Batches:
    """Read the data set, divide it, and make its loaders.

    Raises
    ------
    ConfigError
        If the data set is unknown, or cannot be divided so.
    OSError
        If it is not there; the message says how to get it.
    """
    try:
        whole = get_dataset(config.dataset, root=config.root)
    except ValueError as error:
        raise ConfigError(f"dataset: {error}") from None
    split: Any = whole
    if config.val_split:
        try:
            split = whole.validation(config.val_split, seed=config.seed)
        except ValueError as error:
            raise ConfigError(f"val_split: {error}") from None
    split = split.normalized()

    def loader(part: Any) -> DataLoader:
        return DataLoader(part, EVALUATION_BATCH)

    train = DataLoader(split.train, config.batch_size, shuffle=True, seed=config.seed)
    validation = loader(split.validation) if config.val_split else None
    return Batches(split, train, validation, loader(split.test))


def seen(config: RunConfig, split: Any) -> tuple[int, int]:
    """Return height and width of the images that the network gets.

    Raises
    ------
    ConfigError
        If they differ in size, and the augmentation leaves them so.
    """
    if config.augmentation == "imagenet":
        return CROP, CROP
    if split.image_size is None:
        raise ConfigError(
            f"augmentation: the images of {config.dataset} differ in size, which"
            f" {config.augmentation!r} leaves them; 'imagenet' cuts them to {CROP}x{CROP}"
        )
    height, width = split.image_size
    return height, width


class FirstBatches:
    """The first batches of each epoch of a loader: of an epoch in whose midst a training ends."""

    def __init__(self, loader: DataLoader, count: int) -> None:
        self.loader = loader
        self.count = count
        self._done = 0

    def set_epoch(self, epoch: int, batch: int = 0) -> None:
        """Let the next loop begin there, as `DataLoader.set_epoch` does."""
        self.loader.set_epoch(epoch, batch)
        self._done = batch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        left, self._done = self.count - self._done, 0
        batches: Any = iter(self.loader)
        with closing(batches):
            yield from islice(batches, left)
