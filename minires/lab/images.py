"""The images and the trained networks that experiments use, as far as they are at hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from minires.data import DatasetMissing, Split, TensorDataset, get_dataset
from minires.data.sources import data_root
from minires.data.split import labels_of, rows_of, stratified_count
from minires.models import load_weights
from minires.models.registry import create
from minires.models.weights.catalogue import find, get
from minires.nn import Module
from minires.serialize.download import is_there

# Originals before compressed images, all of them before some.
_LOSSLESS_PART = "cifar10_lossless_4000.npz"


@dataclass(frozen=True)
class Images:
    """Which images an experiment learns from and is judged by.

    Parameters
    ----------
    name : str
        "cifar" is what there is of CIFAR-10: the data set; else its first 4,000 training images;
        else its compressed copy; else, with a note, the digits. Other names are those of
        `minires.data.get_dataset`.
    train, test : int, optional
        How many, with equal shares of the classes; by default all.
    side : int, optional
        Larger images are shrunk to so many pixels a side, by means over equal rectangles.
    """

    name: str = "cifar"
    train: int | None = None
    test: int | None = None
    side: int | None = None

    def read(self) -> Split:
        """Return them, normalised, in memory.

        Raises
        ------
        DatasetMissing
            If they are not there; the message says how to get them.
        """
        return _read(self, data_root())

    @property
    def about(self) -> dict[str, Any]:
        """What stands with a result: which images these were, and their digest."""
        return dict(_about(self, data_root()))

    @property
    def note(self) -> str:
        """What must be said of these images, if something must."""
        if self.name != "cifar":
            return ""
        name = self.read().name
        if name == "digits":
            return (
                "There is no CIFAR-10 here, so these are digits, which small networks learn to the"
                " last one: effects of depth may not show. Run: minires data get cifar10"
            )
        if name == "cifar10-jpeg":
            return "Compressed with loss: errors are not to be compared with published ones."
        return ""


@cache
def _about(images: Images, _: Path) -> dict[str, Any]:
    split = images.read()
    return {
        "name": split.name,
        "train": len(split.train),
        "test": len(split.test),
        "image": [split.channels, *(split.image_size or ())],
        "lossy": split.lossy,
        "digest": split.digest,
        "note": images.note,
    }


@lru_cache(maxsize=4)
def _read(images: Images, _: Path) -> Split:
    split = _cifar() if images.name == "cifar" else get_dataset(images.name)
    split = replace(
        split, train=_some(split.train, images.train), test=_some(split.test, images.test)
    ).normalized()
    if images.side is None:
        return split
    return replace(
        split, train=_shrunk(split.train, images.side), test=_shrunk(split.test, images.side)
    )


def _cifar() -> Split:
    try:
        return get_dataset("cifar10")
    except DatasetMissing:
        pass
    if (part := data_root() / _LOSSLESS_PART).is_file():
        return replace(get_dataset(part), name="cifar10, the first 4,000 training images")
    try:
        return get_dataset("cifar10-jpeg")
    except DatasetMissing:
        return get_dataset("digits")


def _some(part: Any, count: int | None) -> Any:
    labels = labels_of(part)
    if count is None or count >= len(labels):
        return part
    _, chosen = stratified_count(np.asarray(labels), count, seed=0)
    return rows_of(part, chosen)


def _shrunk(part: TensorDataset, side: int) -> TensorDataset:
    images, labels = part.arrays
    if max(images.shape[-2:]) <= side:
        return part
    rows, columns = (_means(length, side).astype(images.dtype) for length in images.shape[-2:])
    return TensorDataset(np.ascontiguousarray(rows @ images @ columns.T), labels)


def _means(length: int, count: int) -> np.ndarray[Any, Any]:
    """Return the matrix (count, length) of means over equal parts, whose ends may cut a pixel."""
    edges = np.linspace(0, length, count + 1)
    pixels = np.arange(length)
    ends = np.minimum(edges[1:, None], pixels + 1)
    shares: np.ndarray[Any, Any] = np.maximum(ends - np.maximum(edges[:-1, None], pixels), 0)
    return shares * (count / length)


def lossless_cifar(count: int, skip: int = 0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return some original CIFAR-10 training images for networks that others trained.

    Parameters
    ----------
    count : int
    skip : int
        Of the first ones.

    Returns
    -------
    images : array (count, 3, 32, 32), float32
        From 0 to 1.
    labels : array (count,), int64

    Raises
    ------
    DatasetMissing
        If there are none, or not so many.
    ValueError
        If the data set has not so many.
    """
    part, chosen = data_root() / _LOSSLESS_PART, slice(skip, skip + count)
    pixels, labels = np.empty(0), np.empty(0)
    if part.is_file():
        with np.load(part, allow_pickle=False) as file:
            pixels, labels = file["x"][chosen], file["y"][chosen]
    if len(labels) < count:
        train = get_dataset("cifar10").train
        pixels, labels = train.arrays[0][chosen], train.arrays[1][chosen]
    if len(labels) < count:
        raise ValueError(f"lossless_cifar: there are no {skip + count} images; take fewer seeds")
    return pixels.astype(np.float32) / 255, labels.astype(np.int64)


def trained(name: str) -> Module:
    """Return a network that others trained, in evaluation mode.

    Its weights are taken from the folder ``pretrained`` among the data sets, if they are there;
    else they are fetched.

    Parameters
    ----------
    name : str
        One in ``minires weights list``, such as ``"cifar_resnet56"``.

    Raises
    ------
    DownloadError
        If they cannot be had, or the file that is there is another one.
    """
    entry = find(name)
    path = data_root() / "pretrained" / entry.file
    sizes: dict[str, Any] = {
        "num_classes": len(entry.card.classes),
        "in_channels": len(entry.card.preprocessing.mean),
    }
    model = create(entry.card.model, **sizes, **entry.card.options)
    load_weights(model, path if is_there(path, entry.sha256) else get(name))
    return model.eval()
