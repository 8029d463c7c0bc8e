"""What a data set's pixels are like: their mean and standard deviation, channel by channel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .dataset import Array, Dataset, Subset

_VALUES_AT_ONCE = 1 << 20  # in float64, 8 MB


def measure(dataset: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel's grey values in 0..1, over all pixels.

    They are summed in float64, block by block: bytes stay bytes in memory, and images that are read
    from files are looked at one at a time, whatever their sizes.

    Parameters
    ----------
    dataset : Dataset
        Images (C, H, W) and whatever else belongs to a sample, or images alone. Bytes 0 to 255
        stand for 0 to 1; floating values are taken as they are.

    Returns
    -------
    mean, std : tuple of float, (C,)
        The standard deviation is that of these pixels, divided by their number.

    Raises
    ------
    ValueError
        If there is no pixel, or the images are not all of as many channels.

    Examples
    --------
    >>> import minires as mr
    >>> images = np.array([0, 51, 102, 153], np.uint8).reshape(2, 1, 1, 2)
    >>> mean, std = measure(mr.data.TensorDataset(images, [0, 1]))
    >>> round(mean[0], 6), round(std[0], 6)
    (0.3, 0.223607)
    """
    pixels, mean, squares = 0, np.zeros(0), np.zeros(0)  # (C,) each
    for block in _blocks(dataset):
        if block.ndim != 4 or (pixels and block.shape[1] != len(mean)):
            channels = f" of {len(mean)} channels, as those before" if pixels else ""
            raise ValueError(
                f"measure: needs images (C, H, W){channels}; found one of shape {block.shape[1:]}"
            )
        values = block.astype(np.float64) / (255 if block.dtype == np.uint8 else 1)
        count = values.size // values.shape[1]
        its_mean = values.mean((0, 2, 3))
        its_squares = np.square(values - its_mean[:, None, None]).sum((0, 2, 3))
        if not pixels:
            pixels, mean, squares = count, its_mean, its_squares
            continue
        # Chan, Golub and LeVeque 1979: what two parts' sums of squares are about their common mean.
        apart = its_mean - mean
        squares = squares + its_squares + apart**2 * (pixels * count / (pixels + count))
        mean = mean + apart * (count / (pixels + count))
        pixels += count
    if not pixels:
        raise ValueError("measure: there is no image in the data set")
    return tuple(mean.tolist()), tuple(np.sqrt(squares / pixels).tolist())


def mean_image(dataset: Any) -> Array:
    """Return the mean of a data set's images, pixel by pixel, as grey values in 0..1.

    Parameters
    ----------
    dataset : Dataset
        As for `measure`; its images have one size.

    Returns
    -------
    array, (C, H, W), float64

    Raises
    ------
    ValueError
        If there is no image, or their shapes differ.

    Examples
    --------
    >>> import minires as mr
    >>> images = np.array([0, 51, 102, 153], np.uint8).reshape(2, 1, 1, 2)
    >>> mean_image(mr.data.TensorDataset(images, [0, 1])).round(6)
    array([[[0.2, 0.4]]])
    """
    total: Array | None = None
    for block in _blocks(dataset):
        its = block.sum(0, dtype=np.float64) / (255 if block.dtype == np.uint8 else 1)
        if total is not None and its.shape != total.shape:
            raise ValueError(
                f"mean_image: images have different shapes, {total.shape} and {its.shape}"
            )
        total = its if total is None else total + its
    if total is None:
        raise ValueError("mean_image: there is no image in the data set")
    return total / len(dataset)


def in_memory(dataset: Any) -> bool:
    """Say whether many samples of a data set are had at once, and so are of one size."""
    if isinstance(dataset, Subset):
        return in_memory(dataset.dataset)
    return isinstance(dataset, Dataset) and type(dataset).take is not Dataset.take


def _blocks(dataset: Any) -> Iterator[Array]:
    """Return all images, a few at a time, (N, C, H, W)."""
    count = len(dataset)
    if not in_memory(dataset) or not count:
        for number in range(count):
            yield np.asarray(_image(dataset[number]))[None]
        return
    step = max(1, _VALUES_AT_ONCE // max(1, np.size(_image(dataset[0]))))
    for start in range(0, count, step):
        yield _image(dataset.take(range(start, min(start + step, count))))


def _image(sample: Any) -> Any:
    return sample[0] if isinstance(sample, (tuple, list)) else sample
