"""A data set in one ``.npz`` file, as NumPy saves arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .dataset import Array, TensorDataset
from .errors import DatasetDamaged
from .split import Split, divided, require_classes

_KEYS = "x and y, or x_train, y_train, x_test and y_test"
_MOST_CLASSES = 2**20


def read_npz(path: Path, seed: int = 0) -> Split:
    """Read images and labels from a ``.npz``; nothing in it is unpickled.

    Parameters
    ----------
    path : Path
        Of a file with the arrays x and y, which are divided 80 to 20, or x_train, y_train, x_test
        and y_test. Images are uint8, or floating from 0 to 1: (N, H, W), (N, C, H, W) or
        (N, H, W, C), of 1 or 3 channels. Labels are integers from 0 on, (N,).
    seed : int
        Decides the division where the file has none.

    Returns
    -------
    Split
        Called as the file is; its classes are called 0, 1, and so on.

    Raises
    ------
    DatasetDamaged
        If it is another file, its arrays are no images and labels, or no label is 0, or all are.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "mine.npz"
    >>> np.savez(path, x=np.zeros((10, 8, 8), np.uint8), y=np.arange(10) % 2)
    >>> read_npz(path).train
    TensorDataset(8 samples of uint8 (1, 8, 8), int64 ())
    """
    arrays = _arrays(path)
    if {"x", "y"} <= set(arrays):
        whole = _part(path, arrays, "")
        labels = whole.arrays[1]
        train, test = divided(whole, seed, path)
    elif {"x_train", "y_train", "x_test", "y_test"} <= set(arrays):
        train, test = (_part(path, arrays, suffix) for suffix in ("_train", "_test"))
        labels = np.concatenate([part.arrays[1] for part in (train, test)])
        shapes = [part.arrays[0].shape[1:] for part in (train, test)]
        if shapes[0] != shapes[1]:
            raise DatasetDamaged(
                f"'{path}': the images of x_train and x_test should be of one shape (C, H, W);"
                f" found {shapes[0]} and {shapes[1]}"
            )
    else:
        found = ", ".join(arrays) or "none"
        raise DatasetDamaged(f"'{path}' should hold the arrays {_KEYS}; found {found}")
    if labels.min() > 0:
        raise DatasetDamaged(
            f"'{path}': the labels go from {labels.min()} to {labels.max()}, and classes are"
            f" numbered from 0 on; subtract {labels.min()}"
        )
    class_names = tuple(str(number) for number in range(labels.max() + 1))
    require_classes(path, class_names)
    return Split(train=train, test=test, name=path.stem, class_names=class_names)


def _arrays(path: Path) -> dict[str, Array]:
    with path.open("rb") as file:
        try:
            loaded = np.load(file, allow_pickle=False)
            arrays = dict(loaded) if isinstance(loaded, Mapping) else None
        except Exception as error:  # of a damaged one, NumPy raises what it likes
            told = " ".join(str(error).split())
            raise DatasetDamaged(f"'{path}' is no .npz file, or a damaged one: {told}") from error
    if arrays is None:
        raise DatasetDamaged(f"'{path}' holds one array; save several by numpy.savez")
    return {name: each for name, each in arrays.items() if isinstance(each, np.ndarray)}


def _part(path: Path, arrays: Mapping[str, Array], suffix: str) -> TensorDataset:
    images, labels = arrays["x" + suffix], arrays["y" + suffix]
    channels_first = _channels_first(images)
    if channels_first is None or labels.shape != images.shape[:1] or not images.size:
        raise DatasetDamaged(
            f"'{path}': x{suffix} and y{suffix} should be images, (N, H, W) or with 1 or 3"
            f" channels, and labels (N,); found shapes {images.shape} and {labels.shape}"
        )
    if images.dtype == np.uint8:
        grey: Any = channels_first
    elif images.dtype.kind == "f" and images.min() >= 0 and images.max() <= 1:
        grey = channels_first.astype(np.float32)
    else:
        raise DatasetDamaged(
            f"'{path}': x{suffix} should be of uint8, or floating from 0 to 1; found"
            f" {_range(images)}"
        )
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= _MOST_CLASSES:
        raise DatasetDamaged(
            f"'{path}': y{suffix} should hold class numbers, integers from 0 on; found"
            f" {_range(labels)}"
        )
    return TensorDataset(np.ascontiguousarray(grey), labels.astype(np.int64))


def _range(array: Array) -> str:
    numbers = array.dtype.kind in "biuf"
    return f"{array.dtype}" + (f" from {array.min()} to {array.max()}" if numbers else "")


def _channels_first(images: Array) -> Array | None:
    """Return images (N, C, H, W), or None if they are none."""
    if images.ndim == 3:
        return images[:, None]
    if images.ndim == 4 and images.shape[1] in (1, 3):
        return images
    if images.ndim == 4 and images.shape[3] in (1, 3):
        return images.transpose(0, 3, 1, 2)
    return None
