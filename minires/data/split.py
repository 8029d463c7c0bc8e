"""A data set in two parts: one to learn from, one to be judged by."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from .dataset import Indices, TensorDataset
from .errors import DatasetDamaged
from .image_folder import ImageFolder
from .measures import measure

Array = np.ndarray[Any, Any]
Images = TensorDataset | ImageFolder

_MEASURED = 10_000  # images, to measure them: minutes less, and the fourth digit stays
_FLAT = 1e-7  # one pixel that differs, among some hundred million, comes to more


@dataclass(frozen=True, kw_only=True)
class _Described:
    """Parts of one data set, and what is known of it."""

    train: Any
    test: Any
    name: str
    class_names: tuple[str, ...]
    lossy: bool = False
    statistics: tuple[tuple[float, ...], tuple[float, ...]] | None = None

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    @cached_property
    def image_size(self) -> tuple[int, int] | None:
        """(H, W), or None where images differ in it."""
        sizes = {_size_of(part) for part in self._parts.values()}
        return sizes.pop() if len(sizes) == 1 else None

    @property
    def channels(self) -> int:
        """C."""
        if isinstance(self.train, ImageFolder):
            return self.train.channels
        return int(self.train.arrays[0].shape[1])

    @property
    def mean(self) -> tuple[float, ...]:
        """The mean of each channel's grey values, in 0..1, over the training part.

        Of images that must be decoded for it, at most 10,000 are looked at, evenly spaced.
        """
        return self._statistics[0]

    @property
    def std(self) -> tuple[float, ...]:
        """Their standard deviation."""
        return self._statistics[1]

    @cached_property
    def _statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        if self.statistics is not None:
            return self.statistics
        if isinstance(self.train, ImageFolder):
            step = -(-len(self.train) // _MEASURED)
            return measure(self.train.subset(range(0, len(self.train), step)))
        return measure(self.train)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the images and labels of all parts, in hexadecimal digits.

        Of images that are decoded when asked for, it is taken over names, labels and files; see
        `ImageFolder.digest`.
        """
        summed = hashlib.sha256()
        for part in self._parts.values():
            if isinstance(part, ImageFolder):
                summed.update(part.digest.encode())
                continue
            for array in part.arrays:
                summed.update(f"{array.dtype} {array.shape}".encode())
                summed.update(np.ascontiguousarray(array).data)
        return summed.hexdigest()

    def normalized(self) -> Self:
        """Return the same data with all images in memory, normalised.

        Returns
        -------
        the same kind
            Its parts are TensorDatasets of images (C, H, W), float32, from which `mean` is
            subtracted and which are divided by `std`, and labels, int64. `mean` and `std` remain
            those of the grey values.

        Raises
        ------
        ValueError
            If the images differ in size, or a channel has one grey value everywhere.
        """
        self.require_contrast()
        parts: dict[str, Any] = {
            name: _normalized(_decoded(part), self.mean, self.std)
            for name, part in self._parts.items()
        }
        return replace(self, statistics=self._statistics, **parts)

    def require_contrast(self) -> None:
        """Raise a ValueError if a channel has one grey value everywhere in the training part."""
        flat = [channel for channel, spread in enumerate(self.std) if spread < _FLAT]
        if flat:
            raise ValueError(
                f"channel {flat[0]} of {self.name!r} has the same grey value everywhere in the"
                " training part, so that its standard deviation, 0, cannot divide"
            )

    @property
    def _parts(self) -> dict[str, Any]:
        parts = ("train", "validation", "test")
        return {
            field.name: getattr(self, field.name) for field in fields(self) if field.name in parts
        }


@dataclass(frozen=True, kw_only=True)
class ValidatedSplit(_Described):
    """Labelled images, divided into training, validation and test part.

    It has all that a `Split` has, where the statistics are those of the smaller training part, and
    a part to choose by: of epochs, learning rates or networks.

    Attributes
    ----------
    validation : TensorDataset or ImageFolder
    """

    validation: Any


@dataclass(frozen=True, kw_only=True)
class Split(_Described):
    """Labelled images, divided into training and test part.

    Attributes
    ----------
    train, test : TensorDataset or ImageFolder
        Images (C, H, W), uint8, or floats from 0 to 1, and labels, int64, 0 to classes - 1. They
        have no image in common. An `ImageFolder` decodes its images when they are asked for.
    name : str
        The name in `get_dataset`.
    class_names : tuple of str
        One for each label.
    lossy : bool
        The images were compressed with loss: what is measured on them says nothing about the
        originals.
    statistics : (mean, std), optional
        Where they are known; else measured when asked for.

    Examples
    --------
    >>> import minires as mr
    >>> split = mr.data.get_dataset("digits")
    >>> split.classes, split.channels, split.image_size
    (10, 1, (8, 8))
    >>> split.normalized().train
    TensorDataset(1438 samples of float32 (1, 8, 8), int64 ())
    """

    def validation(self, share: float, seed: int = 0) -> ValidatedSplit:
        """Divide the training part: some of it to learn from, some to choose by.

        Parameters
        ----------
        share : float or int
            Below 1, the share of each class that goes to the validation part, and at least one
            image of each class that has two; else the number of images, taken from the classes as
            evenly as their sizes allow.
        seed : int
            Decides which.

        Returns
        -------
        ValidatedSplit
            With `train`, `validation` and `test`; the test part is as it was.

        Raises
        ------
        ValueError
            If one of the parts would be empty.

        Examples
        --------
        >>> import minires as mr
        >>> parts = mr.data.get_dataset("digits").validation(200)
        >>> len(parts.train), len(parts.validation), len(parts.test)
        (1238, 200, 359)
        """
        labels = labels_of(self.train)
        wanted = share * len(labels) if share < 1 else share
        count = round(wanted) if math.isfinite(wanted) else 0
        is_no_number = share >= 1 and isinstance(share, float)
        if not share > 0 or count >= len(labels) or is_no_number:
            raise ValueError(
                f"validation: a share between 0 and 1, or a whole number of images below the"
                f" {len(labels):,} that there are to train on; found {share}"
            )
        kept, chosen = stratified_count(labels, count, seed, least=int(share < 1))
        if not len(chosen):
            raise ValueError(
                f"validation: no class has two of the {len(labels):,} images, one of which could be"
                f" kept for validation; found {share}"
            )
        return ValidatedSplit(
            train=rows_of(self.train, kept),
            validation=rows_of(self.train, chosen),
            test=self.test,
            name=self.name,
            class_names=self.class_names,
            lossy=self.lossy,
        )


def labels_of(dataset: Images) -> Array:
    """Return the labels of all samples, (N,), int64."""
    return dataset.labels if isinstance(dataset, ImageFolder) else dataset.arrays[1]


def rows_of(dataset: Images, indices: Indices) -> Images:
    """Return a data set of some samples, of the same kind."""
    if isinstance(dataset, ImageFolder):
        return dataset.subset(indices)
    return TensorDataset(*dataset.take(indices))


def divided(dataset: Images, seed: int, path: Path) -> tuple[Images, Images]:
    """Divide a data set that has no test part of its own: 80 to 20 in every class."""
    train, test = stratified(labels_of(dataset), test_share=0.2, seed=seed)
    if not len(test):
        raise DatasetDamaged(
            f"'{path}' has no test part, and no class of 3 images or more, a fifth of which could"
            " be one"
        )
    return rows_of(dataset, train), rows_of(dataset, test)


def require_classes(path: Path, class_names: Sequence[str]) -> None:
    """Raise a DatasetDamaged if there are not at least two classes."""
    if len(class_names) < 2:
        raise DatasetDamaged(
            f"'{path}' has one class, {class_names[0]!r}, and there is nothing to tell apart; a"
            " classifier needs two"
        )


def stratified(labels: Array, test_share: float, seed: int) -> tuple[Array, Array]:
    """Divide samples at random so that every class has the same share in the test part.

    Parameters
    ----------
    labels : array, (N,), int
    test_share : float
        Of each class; rounded to whole samples.
    seed : int

    Returns
    -------
    train, test : array of int
        The samples' numbers, rising; each sample is in one of them.

    Examples
    --------
    >>> train, test = stratified(np.array([0, 1, 0, 1]), test_share=0.5, seed=0)
    >>> len(train), len(test)
    (2, 2)
    """
    sizes = np.bincount(labels)
    return _drawn(labels, [round(int(size) * test_share) for size in sizes], seed)


def stratified_count(labels: Array, count: int, seed: int, least: int = 0) -> tuple[Array, Array]:
    """Divide samples at random so that exactly `count` are chosen, in proportion to the classes.

    Parameters
    ----------
    labels : array, (N,), int
    count : int
    seed : int
    least : int
        So many of every class that has more; then it may become more than `count`.

    Returns
    -------
    others, chosen : array of int
        The samples' numbers, rising; each sample is in one of them.

    Examples
    --------
    >>> others, chosen = stratified_count(np.array([0, 0, 0, 0, 1, 1]), 3, seed=0)
    >>> len(others), len(chosen)
    (3, 3)
    """
    wanted = np.bincount(labels) * (count / len(labels))
    shares = np.floor(wanted).astype(int)
    # What rounding down left over goes to the classes that lost most by it.
    by_loss = np.argsort(shares - wanted, kind="stable")
    shares[by_loss[: count - shares.sum()]] += 1
    shares = np.maximum(shares, np.minimum(least, np.bincount(labels) - 1))
    return _drawn(labels, shares.tolist(), seed)


def _drawn(labels: Array, counts: list[int], seed: int) -> tuple[Array, Array]:
    """Choose so many samples of each class; return the others' numbers and theirs."""
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        chosen[members[: counts[label]]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def _size_of(part: Images) -> tuple[int, int] | None:
    if isinstance(part, ImageFolder):
        return part.image_size
    height, width = part.arrays[0].shape[2:]
    return height, width


def _decoded(part: Images) -> TensorDataset:
    return part.decoded() if isinstance(part, ImageFolder) else part


def _normalized(
    part: TensorDataset, mean: tuple[float, ...], std: tuple[float, ...]
) -> TensorDataset:
    """Subtract and divide in float64, then round to float32, channel by channel."""
    images, labels = part.arrays
    normal = np.empty(images.shape, np.float32)
    for channel, (centre, spread) in enumerate(zip(mean, std, strict=True)):
        grey = images[:, channel]
        if images.dtype == np.uint8:  # a table of all bytes is far quicker than arithmetic
            table = (np.arange(256) / 255 - centre) / spread
            normal[:, channel] = table.astype(np.float32)[grey]
        else:
            normal[:, channel] = (grey.astype(np.float64) - centre) / spread
    return TensorDataset(normal, labels)
