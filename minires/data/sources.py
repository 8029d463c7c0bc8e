"""Where data sets are from, where their files belong, and whether they are the right ones."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from minires.serialize.download import DownloadError, fetch, home, sum_of

from .archives import ZipFiles, uncompressed
from .errors import DatasetDamaged, DatasetMissing

__all__ = ["Source", "SourceFile", "data_root", "find_source", "sources"]

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class SourceFile:
    """A file of a data set.

    Attributes
    ----------
    name : str
    md5 : str or None
        None where there is no official one.
    uncompressed_md5 : str or None
        Of what is in a ``.gz``: whoever compressed it anew has the same data in another file.
    size : int or None
        In bytes, where it is known.
    """

    name: str
    md5: str | None = None
    uncompressed_md5: str | None = None
    size: int | None = None

    def require_right(self, path: Path) -> None:
        """Raise a DatasetDamaged if a file is not this one."""
        if self.md5 is None or (found := sum_of(path, "md5")) == self.md5:
            return
        expected, how = self.md5, ""
        if self.uncompressed_md5 is not None:
            expected, how = self.uncompressed_md5, " without compression"
            found = hashlib.md5(uncompressed(path), usedforsecurity=False).hexdigest()
        if found != expected:
            raise DatasetDamaged(
                f"'{path}' is another file than {self.name}, or a damaged one: its MD5{how} is"
                f" {found}, and should be {expected}"
            )

    def is_right(self, path: Path) -> bool:
        """Tell whether a file is this one."""
        try:
            self.require_right(path)
        except DatasetDamaged:
            return False
        return True


@dataclass(frozen=True)
class Source:
    """A data set that has a name.

    Attributes
    ----------
    name, title : str
    images : tuple of int
        How many there are to train on, and to be judged by.
    image_size : tuple of int
        (H, W).
    channels, classes : int
    class_names : tuple of str
        Empty where the files tell them.
    licence : str
    lossy : bool
    addresses : tuple of str
        Of folders that have the files; they are tried in turn. Those without encryption are
        trusted because the files' sums are known.
    by_hand : str
        What to do where there is no address.
    files : tuple of SourceFile
        None for what comes with minires.
    """

    name: str
    title: str
    images: tuple[int, int]
    image_size: tuple[int, int]
    channels: int
    classes: int
    licence: str
    files: tuple[SourceFile, ...]
    class_names: tuple[str, ...] = ()
    lossy: bool = False
    addresses: tuple[str, ...] = ()
    by_hand: str = ""

    def folder(self, root: Path) -> Path:
        """Return the folder where its files belong."""
        return root / self.name

    def found(self, root: Path) -> dict[SourceFile, Path]:
        """Return those files that are there, right or not, and where."""
        there = {
            file: next(filter(Path.is_file, self._places(file, root)), None) for file in self.files
        }
        return {file: path for file, path in there.items() if path is not None}

    def _places(self, file: SourceFile, root: Path) -> Sequence[Path]:
        """Return where a file may lie: also uncompressed; nobody's address, right in the root."""
        place = self.folder(root) / file.name
        unpacked = [place.with_suffix("")] if file.uncompressed_md5 else []
        return [place, *unpacked, *([] if self.addresses else [root / file.name])]

    def require(self, root: Path) -> list[Path]:
        """Return the paths of all files, in order, once they are the right ones.

        Raises
        ------
        DatasetMissing
            If one is not there; it says which, and how to get it.
        DatasetDamaged
            If one is another file.
        """
        found = self.found(root)
        missing = [file for file in self.files if file not in found]
        if missing:
            raise DatasetMissing(self.advice(root, missing))
        for file, path in found.items():
            try:
                file.require_right(path)
            except DatasetDamaged as error:
                again = f"move it away, then run: minires data get {self.name}"
                raise DatasetDamaged(f"{error}; {again}") from None
        return list(found.values())

    def download(self, root: Path, progress: Progress | None = None) -> list[Path]:
        """Fetch those files that are not there; return the paths of all, as `require` does.

        Parameters
        ----------
        root : Path
        progress : callable, optional
            Called with the file's name, and as `minires.serialize.download.fetch` says.

        Raises
        ------
        DatasetMissing
            If there is no address.
        DatasetDamaged
            If a file is there already, and another one.
        DownloadError
            If one cannot be fetched; those before it stay, and what arrived of it.
        """
        found = self.found(root)
        missing = [file for file in self.files if self.addresses and file not in found]
        for number, file in enumerate(missing, 1):
            try:
                self._fetch(file, root, progress)
            except DownloadError as error:
                others = ", ".join(f"{each.name} (MD5 {each.md5})" for each in missing[number:])
                told = f". Still missing after it: {others}" if others else ""
                raise DownloadError(f"{error}{told}") from error.__cause__
        return self.require(root)

    def _fetch(self, file: SourceFile, root: Path, progress: Progress | None) -> None:
        fetch(
            [address + file.name for address in self.addresses],
            self.folder(root) / file.name,
            md5=file.md5,
            accept=file.is_right,
            size=file.size,
            licence=self.licence,
            progress=progress and partial(progress, file.name),
            allow_http=any(address.startswith("http:") for address in self.addresses),
        )

    def verify(self, root: Path) -> Iterator[tuple[SourceFile, str | None]]:
        """Yield each file, and what is wrong with it, if anything is.

        One without an official sum is checked by those that are in it.
        """
        found = self.found(root)
        for file in self.files:
            path = found.get(file)
            try:
                if path is None:
                    raise DatasetMissing(f"'{self.folder(root) / file.name}' is not there")
                file.require_right(path)
                if file.md5 is None:
                    ZipFiles(path).require_whole()
            except OSError as error:  # also one that nobody may read
                yield file, str(error)
            else:
                yield file, None

    def advice(self, root: Path, missing: Sequence[SourceFile]) -> str:
        """Say which files are missing, where they belong, and how to get them."""
        sums = ", ".join(file.name + (f" (MD5 {file.md5})" * bool(file.md5)) for file in missing)
        if self.addresses:
            how = (
                f"run: minires data get {self.name}. Without a network, bring from"
                f" {' or '.join(self.addresses)} to"
            )
        else:
            how = f"it has no address; {self.by_hand}, and put into"
        return (
            f"the data set {self.name!r} is not in '{root}'; {how} '{self.folder(root)}': {sums}."
            " Another folder of data sets is named by MINIRES_DATA"
        )


@cache
def sources() -> dict[str, Source]:
    """Return all data sets that have a name."""
    text = Path(__file__).with_name("sources.json").read_text(encoding="utf-8")
    return {record["name"]: _source(record) for record in json.loads(text)}


def _source(record: dict[str, Any]) -> Source:
    lists = {key: tuple(value) for key, value in record.items() if isinstance(value, list)}
    files = tuple(SourceFile(**file) for file in record["files"])
    return Source(**{**record, **lists, "files": files})


def find_source(name: str) -> Source:
    """Return the data set of a name, in which ``-`` and ``_`` are the same.

    Raises
    ------
    ValueError
        If there is none; it says what there is.
    """
    for each in sources().values():
        if each.name.replace("-", "_") == name.replace("-", "_"):
            return each
    raise ValueError(f"unknown data set {name!r}; there are: {', '.join(sorted(sources()))}")


def data_root(root: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of data sets, each in a folder of its own.

    Parameters
    ----------
    root : str or os.PathLike, optional
        By default that of MINIRES_DATA; else ``data`` in `minires.serialize.download.home`.
    """
    named = root or os.environ.get("MINIRES_DATA")
    return Path(named) if named else home() / "data"
