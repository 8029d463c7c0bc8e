"""Files in a folder, a zip or a tar archive, read where they are; nothing is unpacked.

An archive with a name that leads out of it, a link or a device is refused as a whole: no data set
has any, so that somebody made it for another purpose.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import IO, Any, cast

from .errors import DatasetDamaged

__all__ = ["FolderFiles", "ZipFiles", "files_of", "read_tar"]

_LARGEST = 2**28  # bytes of one file in an archive
_LARGEST_TAR = 2**30  # of all of them


class FolderFiles:
    """The files in a folder and its folders; hidden ones are left out.

    Attributes
    ----------
    path : Path
    sizes : dict of str to int
        Names with ``/`` from the folder on, sorted, and bytes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        found = (each for each in path.rglob("*") if each.is_file())
        names = {each.relative_to(path).as_posix(): each.stat().st_size for each in found}
        self.sizes = {name: names[name] for name in sorted(names) if not _is_hidden(name)}

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        return (self.path / name).read_bytes()

    def sum_of(self, name: str) -> str:
        """Return a file's SHA-256."""
        return hashlib.sha256(self.read(name)).hexdigest()


class ZipFiles:
    """The files in a zip; hidden ones, and those that macOS adds, are left out.

    Attributes
    ----------
    path : Path
    sizes : dict of str to int
        Names from the top of the zip on, sorted, and bytes.

    Raises
    ------
    DatasetDamaged
        If it is no zip, or one that is not to be trusted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()

    def _open(self) -> None:
        try:
            self._zip = zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, NotImplementedError) as error:
            raise DatasetDamaged(f"'{self.path}' is no zip, or a damaged one: {error}") from error
        try:
            members = {each.filename: each for each in self._zip.infolist() if not each.is_dir()}
            for name, member in members.items():
                _require_safe(self.path, name)
                kind = stat.S_IFMT(member.external_attr >> 16)
                if kind not in (0, stat.S_IFREG):
                    raise _refused(self.path, name, "is a link or no file")
                if member.flag_bits & 1:
                    raise _refused(self.path, name, "is encrypted")
                if member.file_size > _LARGEST:
                    raise _refused(self.path, name, f"has more than {_LARGEST:,} bytes")
        except BaseException:
            self._zip.close()
            raise
        self._members = members
        self.sizes = {
            name: members[name].file_size for name in sorted(members) if not _is_hidden(name)
        }

    def read(self, name: str) -> bytes:
        """Return a file's bytes, checked by the zip's own sum."""
        try:
            return self._zip.read(self._members[name])
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise DatasetDamaged(f"{name!r} in '{self.path}' is damaged: {error}") from error

    def require_whole(self) -> None:
        """Raise a DatasetDamaged if a file is not what the zip says by its CRC-32."""
        for name in self.sizes:
            self.read(name)

    def sum_of(self, name: str) -> str:
        """Return the CRC-32 that the zip states of a file."""
        return f"{self._members[name].CRC:08x}"

    # An open file cannot go to another process; its path can.
    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path = state["path"]
        self._open()


def files_of(path: Path) -> FolderFiles | ZipFiles:
    """Return the files in a folder or a zip."""
    return FolderFiles(path) if path.is_dir() else ZipFiles(path)


def read_tar(path: Path, wanted: Collection[str]) -> dict[str, bytes]:
    """Read files of a tar archive, compressed or not, into memory.

    Parameters
    ----------
    path : Path
    wanted : collection of str
        Names of files, without their folders.

    Returns
    -------
    dict of str to bytes
        In the order of `wanted`.

    Raises
    ------
    DatasetDamaged
        If the archive is damaged or not to be trusted, or lacks one of them.
    """
    found: dict[str, bytes] = {}
    total = 0
    try:
        with path.open("rb") as packed, _unpacking(packed) as file:
            archive = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115 - only its file is open
            for member in archive:
                _require_safe(path, member.name)
                if not (member.isreg() or member.isdir()):
                    raise _refused(path, member.name, "is a link or no file")
                total += member.size
                _require_fits(path, total)
                name = member.name.rpartition("/")[2]
                opened = archive.extractfile(member) if name in wanted else None
                if opened is not None:
                    found[name] = opened.read()
            # gzip's sum is at its end; tarfile stops where it finds no header any more.
            while rest := file.read(2**20):
                total += len(rest)
                _require_fits(path, total)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DatasetDamaged(f"'{path}' is no tar archive, or a damaged one: {error}") from error
    except OSError as error:
        if isinstance(error, DatasetDamaged) or error.errno is not None:
            raise
        raise DatasetDamaged(f"'{path}' is a damaged gzip file: {error}") from error
    missing = [name for name in wanted if name not in found]
    if missing:
        raise DatasetDamaged(f"'{path}' lacks {_told(missing)}; it is another archive")
    return {name: found[name] for name in wanted}


def _unpacking(packed: IO[bytes]) -> IO[bytes]:
    """Return a file that reads what is in another one, without gzip's compression if it has any."""
    compressed = packed.read(2) == b"\x1f\x8b"
    packed.seek(0)
    return cast(IO[bytes], gzip.GzipFile(fileobj=packed)) if compressed else packed


def _require_fits(path: Path, total: int) -> None:
    if total > _LARGEST_TAR:
        raise DatasetDamaged(f"'{path}' is not read: it holds more than {_LARGEST_TAR:,} bytes")


def _require_safe(path: Path, name: str) -> None:
    """Raise if a member's name leads elsewhere, on this system or another."""
    parts = re.split(r"[/\\]", name)
    if name.startswith(("/", "\\")) or ":" in parts[0] or ".." in parts or "\0" in name:
        raise _refused(path, name, "leads out of the archive")


def _refused(path: Path, name: str, why: str) -> DatasetDamaged:
    return DatasetDamaged(f"'{path}' is not read: its member {name!r} {why}")


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _told(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
