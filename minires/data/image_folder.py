"""Images in one folder per class, decoded when they are asked for."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .archives import FolderFiles, ZipFiles, files_of
from .dataset import Array, Dataset, Indices, TensorDataset
from .errors import DatasetDamaged
from .images import decode_image, size_of_image

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ImageFolder"]

_LARGEST_SUMMED = 2**30
_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")


class ImageFolder(Dataset):
    """Images in one folder per class, read from disk or from a zip when they are asked for.

    A class is a folder's name; their order is that of their names, and within one that of the
    files' names. Files of other kinds are left out. An image with one channel becomes RGB.

    Parameters
    ----------
    source : str, os.PathLike, FolderFiles or ZipFiles
        A folder or a ``.zip``, which is read in place.
    under : str
        The folder in it whose folders are the classes; by default the topmost.
    class_names : sequence of str, optional
        The classes, in the labels' order; by default all folders that there are.

    Attributes
    ----------
    files : FolderFiles or ZipFiles
    names : tuple of str
        Of the images' files.
    labels : array, (N,), int64
    class_names : tuple of str
    boxes : array, (N, 4), int64, or None
        Where the data set tells: x0, y0, x1, y1 in pixels, of which x1 and y1 belong to the box.
    channels : int
        3.

    Raises
    ------
    DatasetDamaged
        If there are no images, or none in one of the folders, or one of a class that is not among
        `class_names`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from PIL import Image
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for name, size in ("cat", (8, 6)), ("dog", (5, 5)):
    ...     (folder / name).mkdir()
    ...     Image.new("L", size).save(folder / name / "1.png")
    >>> images = ImageFolder(folder)
    >>> images.class_names, images.labels
    (('cat', 'dog'), array([0, 1]))
    >>> image, label = images[0]
    >>> image.shape, image.dtype
    ((3, 6, 8), dtype('uint8'))
    """

    channels = 3

    def __init__(
        self,
        source: Any,
        under: str = "",
        class_names: Sequence[str] | None = None,
    ) -> None:
        files = source if isinstance(source, (FolderFiles, ZipFiles)) else files_of(Path(source))
        names = image_names(files, under)
        depth = under.count("/") + 1 if under else 0
        folders = [name.split("/")[depth] for name in names]
        known = tuple(sorted(set(folders)) if class_names is None else class_names)
        unknown = sorted(set(folders) - set(known))
        if unknown:
            raise DatasetDamaged(
                f"'{files.path}': {under or 'the folder'} has a class {unknown[0]!r} that is none"
                f" of {len(known)} known ones, such as {known[0]!r}"
            )
        if names and (empty := sorted(_folders_in(files, under) - set(folders))):
            raise DatasetDamaged(
                f"'{files.path}': {'/'.join(filter(None, (under, empty[0])))!r} would be a class,"
                f" and has no images{_but(other_names(files, under, empty[0]))}; put some into it,"
                " or take it away"
            )
        numbers = {name: number for number, name in enumerate(known)}
        self._set(files, names, [numbers[folder] for folder in folders], known, None)

    @classmethod
    def listed(
        cls,
        files: FolderFiles | ZipFiles,
        names: Sequence[str],
        labels: Sequence[int] | Array,
        class_names: Sequence[str],
        boxes: Array | None = None,
    ) -> ImageFolder:
        """Return a data set of named files, wherever they lie."""
        made = cls.__new__(cls)
        made._set(files, names, labels, class_names, boxes)
        return made

    def _set(
        self,
        files: FolderFiles | ZipFiles,
        names: Sequence[str],
        labels: Sequence[int] | Array,
        class_names: Sequence[str],
        boxes: Array | None,
    ) -> None:
        if not names:
            raise DatasetDamaged(
                f"'{files.path}': there are no images in folders of classes, as in"
                f" train/cat/1.jpg or cat/1.jpg{_but(other_names(files))}"
            )
        self.files = files
        self.names = tuple(names)
        self.labels = np.asarray(labels, np.int64)
        self.class_names = tuple(class_names)
        self.boxes = boxes

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        classes = len(self.class_names)
        return f"ImageFolder({len(self)} images of {classes} classes in '{self.files.path}')"

    def image(self, index: int) -> Image:
        """Decode an image: a PIL.Image.Image in RGB.

        Raises
        ------
        DatasetDamaged
            If it cannot be decoded; the message names the file.
        """
        name = self.names[index]
        try:
            return decode_image(io.BytesIO(self.files.read(name)), self.channels)
        except ValueError as error:
            raise DatasetDamaged(f"{name!r} in '{self.files.path}': {error}") from error

    def __getitem__(self, index: int) -> tuple[Array, Any]:
        """Return an image (3, H, W), uint8, and its label."""
        pixels = np.asarray(self.image(index))  # (H, W, 3)
        return np.ascontiguousarray(pixels.transpose(2, 0, 1)), self.labels[index]

    def subset(self, indices: Indices) -> ImageFolder:
        """Return a data set of some of the images, in this order."""
        chosen = np.asarray(indices, np.intp)
        some = self.listed(
            self.files,
            [self.names[index] for index in chosen],
            self.labels[chosen],
            self.class_names,
            None if self.boxes is None else self.boxes[chosen],
        )
        if (size := vars(self).get("image_size")) is not None:  # what is known need not be read
            some.image_size = size
        return some

    @cached_property
    def image_size(self) -> tuple[int, int] | None:
        """(H, W), or None where images differ in it; the files' first bytes tell."""
        sizes: set[tuple[int, int]] = set()
        for name in self.names:
            try:
                sizes.add(size_of_image(io.BytesIO(self.files.read(name))))
            except ValueError as error:
                raise DatasetDamaged(f"{name!r} in '{self.files.path}': {error}") from error
            if len(sizes) > 1:
                return None
        return sizes.pop()

    def decoded(self) -> TensorDataset:
        """Decode all images, if they have the same size.

        Returns
        -------
        TensorDataset
            Of images (N, 3, H, W), uint8, and labels (N,), int64.

        Raises
        ------
        ValueError
            If two sizes differ.
        """
        first = self[0][0]
        images = np.empty((len(self), *first.shape), np.uint8)
        for index, name in enumerate(self.names):
            image = self[index][0]
            if image.shape != first.shape:
                raise ValueError(
                    f"{name!r} has {image.shape[1:]} pixels and {self.names[0]!r}"
                    f" {first.shape[1:]}: images of different sizes make no array; resize or crop"
                    " them by the loader's transforms"
                )
            images[index] = image
        return TensorDataset(images, self.labels)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over names, labels, boxes and files, in hexadecimal digits.

        Each file counts by its size and its sum: in a zip the CRC-32 that is stated there, so that
        nothing is read; in a folder its SHA-256, so that all of it is. Of more than 1 GiB in a
        folder the size alone counts.
        """
        summed = hashlib.sha256()
        sizes = [self.files.sizes[name] for name in self.names]
        by_sum = isinstance(self.files, ZipFiles) or sum(sizes) <= _LARGEST_SUMMED
        for name, label, size in zip(self.names, self.labels, sizes, strict=True):
            stated = self.files.sum_of(name) if by_sum else ""
            # Names of files need not be text; their bytes count as they are.
            summed.update(f"{name}\n{label} {size} {stated}\n".encode(errors="surrogateescape"))
        if self.boxes is not None:
            summed.update(self.boxes.tobytes())
        return summed.hexdigest()


def image_names(files: FolderFiles | ZipFiles, under: str = "") -> list[str]:
    """Return the names of the images that lie in folders under a folder, sorted."""
    return [name for name in _in_folders(files, under) if name.lower().endswith(_SUFFIXES)]


def other_names(files: FolderFiles | ZipFiles, under: str = "", folder: str = "") -> list[str]:
    """Return the names of the other files there, which are left out; of one folder, if named."""
    begin = "/".join(filter(None, (under, folder)))
    return [
        name
        for name in _in_folders(files, under)
        if not name.lower().endswith(_SUFFIXES) and name.startswith(f"{begin}/" if begin else "")
    ]


def _in_folders(files: FolderFiles | ZipFiles, under: str) -> list[str]:
    prefix = f"{under}/" if under else ""
    return [name for name in files.sizes if name.startswith(prefix) and "/" in name[len(prefix) :]]


def _folders_in(files: FolderFiles | ZipFiles, under: str) -> set[str]:
    prefix = f"{under}/" if under else ""
    listed = (name for name in files.folders if name.startswith(prefix) and name != prefix)
    return {name[len(prefix) :].split("/")[0] for name in (*listed, *_in_folders(files, under))}


def _but(others: Sequence[str]) -> str:
    if not others:
        return ""
    return (
        f", but files of other kinds, such as {others[0]!r}: BMP, GIF, JPEG, PNG, PPM, TIFF and"
        " WebP are read"
    )
