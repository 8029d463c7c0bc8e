"""Data sets that are trees of image files: ImageNet's layout, Tiny-ImageNet's, and plain folders.

==============================  ===================================================================
``train/CLASS/1.jpg``           ImageNet's; the test part is ``test``, ``val``, ``valid`` or
                                ``validation``, the first of them that has folders of classes;
                                ``Train`` and ``TEST`` will do
``train/WNID/images/1.JPEG``    Tiny-ImageNet's, with ``WNID_boxes.txt`` beside; its test part is
                                ``val``, for the labels of ``test`` were never published
``CLASS/1.jpg``                 plain, or ``train`` alone; every class is divided 80 to 20
==============================  ===================================================================
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .archives import FolderFiles, ZipFiles, files_of
from .errors import DatasetDamaged
from .image_folder import ImageFolder, image_names
from .split import Split, divided, require_classes

_TEST_FOLDERS = ("test", "val", "valid", "validation")


def read_tree(path: Path, seed: int = 0, name: str | None = None) -> Split:
    """Read a tree of image files, in a folder or a zip.

    Parameters
    ----------
    path : Path
        If all images lie in one folder in it, that is looked into.
    seed : int
        Decides the division where the tree has none.
    name : str, optional
        Of the data set; by default the folder's or the zip's.

    Returns
    -------
    Split
        Of two `ImageFolder`, which decode images when they are asked for.

    Raises
    ------
    DatasetDamaged
        If it is in no layout that is known, or has fewer than two classes.
    """
    files = files_of(path)
    top = _top(files)
    train_folder = _part(files, top, "train")
    if _join(top, "wnids.txt") in files.sizes:
        train, test, class_names = _tiny_imagenet(files, top)
    elif train_folder is not None:
        test_folder = _part(files, top, *_TEST_FOLDERS)
        if test_folder is None:
            raise DatasetDamaged(
                f"'{files.path}' has a folder {train_folder!r}, but no images to be judged by in"
                f" folders of classes under any of {', '.join(_TEST_FOLDERS)}"
            )
        train = ImageFolder(files, train_folder)
        class_names = train.class_names
        test = ImageFolder(files, test_folder, class_names)
    else:
        whole = ImageFolder(files, top)
        class_names = whole.class_names
        train, test = divided(whole, seed, path)  # type: ignore[assignment]
    require_classes(path, class_names)
    return Split(train=train, test=test, name=name or path.stem, class_names=class_names)


def _top(files: FolderFiles | ZipFiles) -> str:
    """Return the folder in which all images lie, or nothing."""
    names = image_names(files)
    tops = {name.partition("/")[0] for name in names}
    deepest = max((name.count("/") for name in names), default=0)
    return tops.pop() if len(tops) == 1 and deepest >= 2 else ""


def _join(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def _part(files: FolderFiles | ZipFiles, top: str, *wanted: str) -> str | None:
    """Return the first of these folders that has folders of classes, in lower or upper case."""
    beside = {name[len(top) :].strip("/").partition("/")[0] for name in image_names(files, top)}
    for name in wanted:
        for folder in sorted(beside):
            if folder.lower() == name and image_names(files, _join(top, folder)):
                return _join(top, folder)
    return None


def _tiny_imagenet(
    files: FolderFiles | ZipFiles, top: str
) -> tuple[ImageFolder, ImageFolder, tuple[str, ...]]:
    """Return training part, test part and the names of the classes, in words."""
    wnids = sorted(_lines(files, _join(top, "wnids.txt")))
    numbers = {wnid: number for number, wnid in enumerate(wnids)}
    words = dict(
        line.split("\t", 1) for line in _lines(files, _join(top, "words.txt")) if "\t" in line
    )
    class_names = tuple(words.get(wnid, wnid) for wnid in wnids)
    train, test = [], []
    for wnid in wnids:
        folder = _join(top, "train", wnid)
        for image, box in _boxes(files, _join(folder, f"{wnid}_boxes.txt")):
            train.append((_join(folder, "images", image), numbers[wnid], box))
    annotations = _join(top, "val", "val_annotations.txt")
    for image, wnid, box in _boxes(files, annotations, classes=numbers):
        test.append((_join(top, "val", "images", image), numbers[wnid], box))
    return _annotated(files, train, class_names), _annotated(files, test, class_names), class_names


def _boxes(
    files: FolderFiles | ZipFiles, name: str, classes: Collection[str] | None = None
) -> Iterator[Any]:
    """Yield from each line an image's name, its class where lines tell it, and its box."""
    for number, line in enumerate(_lines(files, name), 1):
        *told, x0, y0, x1, y1 = line.split("\t") if line.count("\t") >= 4 else ["", *"----"]
        box = [x0, y0, x1, y1]
        if (
            len(told) != 1 + (classes is not None)
            or (classes is not None and told[1] not in classes)
            or not all(side.isdecimal() for side in box)
        ):
            raise DatasetDamaged(
                f"'{files.path}': {name!r}, line {number}: {line!r} should be an image's name,"
                f" {'its class, ' * (classes is not None)}and four numbers"
            )
        yield *told, list(map(int, box))


def _annotated(
    files: FolderFiles | ZipFiles,
    rows: list[tuple[str, int, list[int]]],
    class_names: tuple[str, ...],
) -> ImageFolder:
    missing = [name for name, _, _ in rows if name not in files.sizes]
    if missing:
        raise DatasetDamaged(f"'{files.path}' lacks {missing[0]!r}, which its lists name")
    names, labels, boxes = zip(*rows, strict=True) if rows else ((), (), ())
    return ImageFolder.listed(files, names, labels, class_names, np.array(boxes, np.int64))


def _lines(files: FolderFiles | ZipFiles, name: str) -> list[str]:
    if name not in files.sizes:
        raise DatasetDamaged(f"'{files.path}' lacks {name!r}, which Tiny-ImageNet's layout has")
    lines = files.read(name).decode("utf-8", "replace").splitlines()
    return [line for line in lines if line.strip()]
