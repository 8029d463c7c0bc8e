"""The binary archives of CIFAR-10 and CIFAR-100, which hold bytes and nothing to unpickle.

A record is one label byte (CIFAR-10) or two (CIFAR-100, where the second is the fine label), then
3,072 bytes of an image (3, 32, 32). (Source: A. Krizhevsky, Learning Multiple Layers of Features
from Tiny Images, 2009.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .archives import read_tar
from .dataset import Array, TensorDataset
from .errors import DatasetDamaged

_IMAGE = (3, 32, 32)


@dataclass(frozen=True)
class CifarLayout:
    """Which files an archive has, and what stands in a record.

    Attributes
    ----------
    train : tuple of str
        Files whose records follow each other.
    test, names : str
        The names are those of the classes, one a line.
    label_bytes : int
        Of which the last is the label.
    classes : int
    """

    train: tuple[str, ...]
    test: str
    names: str
    label_bytes: int
    classes: int


CIFAR10 = CifarLayout(
    train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    test="test_batch.bin",
    names="batches.meta.txt",
    label_bytes=1,
    classes=10,
)
CIFAR100 = CifarLayout(
    train=("train.bin",),
    test="test.bin",
    names="fine_label_names.txt",
    label_bytes=2,
    classes=100,
)


def read_cifar(
    path: Path, layout: CifarLayout
) -> tuple[TensorDataset, TensorDataset, tuple[str, ...]]:
    """Read a binary archive, ``.tar.gz`` or ``.tar``.

    Parameters
    ----------
    path : Path
    layout : CifarLayout
        `CIFAR10` or `CIFAR100`.

    Returns
    -------
    train, test : TensorDataset
        Images (3, 32, 32), uint8, and labels, int64, in the official order.
    class_names : tuple of str

    Raises
    ------
    DatasetDamaged
        If it is another archive, or a damaged one.
    """
    files = read_tar(path, (*layout.train, layout.test, layout.names))
    names = tuple(files[layout.names].decode("utf-8", "replace").split())
    if len(names) != layout.classes:
        raise DatasetDamaged(
            f"'{path}': {layout.names!r} names {len(names)} classes, not {layout.classes}"
        )
    train = [_records(path, name, files[name], layout) for name in layout.train]
    test = [_records(path, layout.test, files[layout.test], layout)]
    return _joined(train), _joined(test), names


def _records(path: Path, name: str, contents: bytes, layout: CifarLayout) -> Array:
    """Return the records of one file, (N, label bytes + 3072)."""
    length = layout.label_bytes + int(np.prod(_IMAGE))
    count, rest = divmod(len(contents), length)
    if rest or not count:
        raise DatasetDamaged(
            f"'{path}': {name!r} has {len(contents):,} bytes, which is no whole number of records"
            f" of {length:,}; it was cut short or damaged"
        )
    records = np.frombuffer(contents, np.uint8).reshape(count, length)
    largest = int(records[:, layout.label_bytes - 1].max())
    if largest >= layout.classes:
        raise DatasetDamaged(
            f"'{path}': {name!r} has a label {largest}, and there are {layout.classes} classes"
        )
    return records[:, layout.label_bytes - 1 :]  # (N, 1 + 3072)


def _joined(batches: Sequence[Array]) -> TensorDataset:
    records = np.concatenate(batches)
    images = np.ascontiguousarray(records[:, 1:]).reshape(-1, *_IMAGE)
    return TensorDataset(images, records[:, 0].astype(np.int64))
