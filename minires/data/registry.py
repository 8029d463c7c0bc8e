"""Data sets by name or path, for the command line and for experiments."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from .cifar import CIFAR10, CIFAR100, CifarLayout, read_cifar
from .dataset import TensorDataset
from .errors import DatasetDamaged, DatasetMissing
from .handwriting import grey_digits
from .idx import read_idx
from .image_folder import ImageFolder
from .npz import read_npz
from .sources import Source, data_root, find_source, sources
from .split import Split
from .trees import read_tree


def dataset_names() -> list[str]:
    """Return the names that `get_dataset` knows, sorted."""
    return sorted(sources())


def get_dataset(
    name: str | os.PathLike[str],
    seed: int = 0,
    root: str | os.PathLike[str] | None = None,
    download: bool = False,
) -> Split:
    """Return the data set of a name or a path, divided into training and test part.

    Its images are as they are in the files; `Split.normalized` is what a network learns from
    without a loader's transforms.

    Parameters
    ----------
    name : str or os.PathLike
        One of `dataset_names`; or the path of a folder or a ``.zip`` of images (see
        `minires.data.trees`), or of a ``.npz`` (see `minires.data.npz.read_npz`).
    seed : int
        Decides the division where the data set has none of its own.
    root : str or os.PathLike, optional
        The folder of the data sets that have a name; see `data_root`.
    download : bool
        Fetch what is not there.

    Raises
    ------
    ValueError
        If there is no such data set; the message lists those that there are.
    DatasetMissing
        If its files are not there; the message says which, where, and how to get them.
    DatasetDamaged
        If they are not the right ones.
    DownloadError
        If they cannot be fetched.

    Examples
    --------
    >>> import minires as mr
    >>> len(mr.data.get_dataset("digits").test)
    359
    """
    if is_path(name):
        return _at(Path(name), seed)
    try:
        source = find_source(os.fspath(name))
    except ValueError as error:
        raise ValueError(f"{error}, or the path of a folder, a .zip or a .npz") from None
    if source.name == "digits":
        return grey_digits(seed)
    bring = source.download if download else source.require
    return _READERS[source.name](source, bring(data_root(root)))


def located(name: str) -> str:
    """Return a data set's name as it is, and its path so that it holds in any working directory.

    Examples
    --------
    >>> located("digits"), Path(located("pictures/")).is_absolute()
    ('digits', True)
    """
    return str(Path(name).absolute()) if is_path(name) else name


def is_path(name: str | os.PathLike[str]) -> bool:
    """Tell whether a path is meant: a name of a data set is one only of a folder that is there."""
    if isinstance(name, os.PathLike):
        return True
    separators = {os.sep, os.altsep or os.sep, "/"}
    if any(each in name for each in separators) or name.lower().endswith((".npz", ".zip")):
        return True
    try:
        find_source(name)
    except ValueError:
        return bool(name) and Path(name).is_dir()
    return False


def _at(path: Path, seed: int) -> Split:
    if not path.exists():
        raise DatasetMissing(
            f"there is no '{path}'; a data set is a folder or .zip of images, a .npz, or one of:"
            f" {', '.join(dataset_names())}"
        )
    if path.suffix.lower() == ".npz":
        return read_npz(path, seed)
    if path.is_dir() or path.suffix.lower() == ".zip":
        return read_tree(path, seed)
    raise DatasetDamaged(f"'{path}' is no data set: neither a folder, nor a .zip, nor a .npz")


def _read_idx_files(source: Source, paths: Sequence[Path]) -> Split:
    images = read_idx(paths[0], 3), read_idx(paths[2], 3)
    labels = read_idx(paths[1], 1), read_idx(paths[3], 1)
    train, test = (
        TensorDataset(pixels[:, None], numbers.astype(np.int64))
        for pixels, numbers in zip(images, labels, strict=True)
    )
    return _checked(source, train, test, source.class_names)


def _read_cifar_archive(layout: CifarLayout) -> Callable[[Source, Sequence[Path]], Split]:
    return lambda source, paths: _checked(source, *read_cifar(paths[0], layout))


def _read_zips_of_classes(source: Source, paths: Sequence[Path]) -> Split:
    train = ImageFolder(paths[0])
    test = ImageFolder(paths[1], class_names=train.class_names)
    # So many and so small: decoding them once is quicker, and they need no more than the originals.
    return _checked(source, train.decoded(), test.decoded(), train.class_names)


def _read_tiny_imagenet(source: Source, paths: Sequence[Path]) -> Split:
    split = read_tree(paths[0], name=source.name)
    for part in (split.train, split.test):
        part.image_size = source.image_size  # else the beginning of each file would be read
    return _checked(source, split.train, split.test, split.class_names)


def _checked(
    source: Source,
    train: TensorDataset | ImageFolder,
    test: TensorDataset | ImageFolder,
    class_names: Sequence[str],
) -> Split:
    """Return a split once it has as many images and classes as it should."""
    found = len(train), len(test), len(class_names)
    if found != (*source.images, source.classes):
        raise DatasetDamaged(
            f"{source.name}: there should be {source.images[0]:,} images to train on,"
            f" {source.images[1]:,} to be judged by and {source.classes} classes; found"
            f" {found[0]:,}, {found[1]:,} and {found[2]}"
        )
    return Split(
        train=train,
        test=test,
        name=source.name,
        class_names=tuple(class_names),
        lossy=source.lossy,
    )


_READERS: dict[str, Callable[[Source, Sequence[Path]], Split]] = {
    "mnist": _read_idx_files,
    "fashion_mnist": _read_idx_files,
    "kmnist": _read_idx_files,
    "cifar10": _read_cifar_archive(CIFAR10),
    "cifar100": _read_cifar_archive(CIFAR100),
    "cifar10-jpeg": _read_zips_of_classes,
    "tiny-imagenet-200": _read_tiny_imagenet,
}
