"""A run's batches: which transforms its images go through, and in which loaders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Any, NamedTuple

from minires.autograd import Tensor
from minires.data import DataLoader, get_dataset
from minires.data.measures import mean_image
from minires.data.transforms import (
    CenterCrop,
    Compose,
    Cutout,
    Lighting,
    MixUp,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    RandomShortestSize,
    Transform,
)

from .config import RunConfig
from .errors import ConfigError

__all__ = ["EVALUATION_BATCH", "Batches", "FirstBatches", "batches_of", "judged_at", "seen"]

EVALUATION_BATCH = 256
# He et al. 2015: the shorter side, at random in training; the square that is cut out of it.
SHORTER, MIDDLE, CROP = (256, 480), 256, 224


class Batches(NamedTuple):
    """The loaders of a run; `validation` is None where nothing is kept for it."""

    split: Any
    normalize: Normalize
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
    normalize = _normalization(config, split)
    mixup = MixUp(config.mixup, split.classes) if config.mixup else None
    if ranks > 1 and config.batch_size < ranks:
        raise ConfigError(f"batch_size: {ranks} ranks cannot share {config.batch_size} images")

    def loader(part: Any, rank: int, ranks: int) -> DataLoader:
        return DataLoader(
            part,
            max(EVALUATION_BATCH, ranks),
            transform=Compose([*_one_size(config), normalize]),
            num_workers=config.workers,
            rank=rank,
            ranks=ranks,
        )

    train = DataLoader(
        split.train,
        config.batch_size,
        shuffle=True,
        seed=config.seed,
        transform=Compose(_augmentation(config, split, normalize)),
        mixup=mixup,
        num_workers=config.workers,
        rank=rank,
        ranks=ranks,
    )
    # The test part is rank 0's alone, which counts what is taken for what.
    validation = loader(split.validation, rank, ranks) if config.val_split else None
    return Batches(split, normalize, train, validation, loader(split.test, 0, 1))


def seen(config: RunConfig, split: Any) -> tuple[int, int]:
    """Return height and width of the images that the network gets.

    Raises
    ------
    ConfigError
        If they differ in size, and the augmentation leaves them so.
    """
    if (at := judged_at(config)) is not None:
        return at[1], at[1]
    if split.image_size is None:
        raise ConfigError(
            f"augmentation: the images of {config.dataset} differ in size, which"
            f" {config.augmentation!r} leaves them; say the size to which they are cut, as --size"
            f" 32, or take 'imagenet', which cuts them to {CROP}x{CROP}"
        )
    height, width = split.image_size
    return height, width


def judged_at(config: RunConfig) -> tuple[int, int] | None:
    """Return to what an image's shorter side is brought, and the square that is cut out of it.

    None if images are judged as they are.
    """
    if config.augmentation == "imagenet":
        return _scaled(MIDDLE, config), config.size or CROP
    return None if config.size is None else (config.size, config.size)


def _scaled(length: int, config: RunConfig) -> int:
    """Return a length of "imagenet" for the size of a run's images."""
    return round(length * (config.size or CROP) / CROP)


def _one_size(config: RunConfig) -> list[Transform]:
    """Return what brings an image that is judged to the size of those trained on."""
    if (at := judged_at(config)) is None:
        return []
    shorter, side = at
    return [RandomShortestSize(shorter, shorter), CenterCrop(side)]


def _normalization(config: RunConfig, split: Any) -> Normalize:
    """Return what brings the images to mean 0 and standard deviation 1."""
    try:
        split.require_contrast()
    except ValueError as error:
        raise ConfigError(f"dataset: {error}") from None
    if config.normalize == "channel":
        return Normalize(split.mean, split.std, dtype=config.dtype)
    size = split.image_size
    if judged_at(config) is not None or size is None or size[0] != size[1]:
        raise ConfigError(
            "normalize: 'pixel' needs square images of one size that are trained on whole;"
            " 'channel' takes any"
        )
    return Normalize(mean_image(split.train), split.std, dtype=config.dtype)


def _augmentation(config: RunConfig, split: Any, normalize: Normalize) -> list[Transform]:
    chosen: list[Transform] = []
    if config.augmentation == "imagenet":
        shorter = (_scaled(length, config) for length in SHORTER)
        chosen += [RandomShortestSize(*shorter), RandomCrop(config.size or CROP)]
        chosen += [RandomHorizontalFlip()]
        chosen += [Lighting()] if split.channels == 3 else []
    else:
        chosen += _one_size(config)
    if config.augmentation in ("crop", "crop-flip"):
        height, width = seen(config, split)
        if config.crop_padding_mode == "reflect" and config.crop_padding >= min(height, width):
            raise ConfigError(
                f"crop_padding: {config.crop_padding} pixels cannot be mirrored in images of"
                f" {height}x{width}"
            )
        border = config.crop_padding, config.crop_padding_mode
        chosen.append(RandomCrop((height, width), *border))
    if config.augmentation == "crop-flip":
        chosen.append(RandomHorizontalFlip())
    # Each pixel's mean is that of a place, which is lost when a part is cut out.
    chosen.insert(0 if config.normalize == "pixel" else len(chosen), normalize)
    if config.cutout:
        height, width = seen(config, split)
        if config.cutout > min(height, width):
            raise ConfigError(
                f"cutout: a square of {config.cutout} pixels is larger than the images, which are"
                f" {height}x{width}"
            )
        chosen.append(Cutout(config.cutout))
    return chosen


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
