"""Files in a folder, a zip or a tar archive, read where they are; nothing is unpacked.

An archive with a name that leads out of it, a link or a device is refused as a whole: no data set
has any, so that somebody made it for another purpose.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from .errors import DatasetDamaged

__all__ = [
    "FolderFiles",
    "ZipFiles",
    "files_of",
    "read_member",
    "read_tar",
    "require_plain",
    "uncompressed",
]

_LARGEST = 2**28  # bytes of one file in a zip
_LARGEST_UNPACKED = 2**30  # of what gzip compressed
_BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # Python unpacks these no further than asked


class FolderFiles:
    """The files in a folder and its folders; hidden ones are left out, links are followed.

    Attributes
    ----------
    path : Path
    sizes : dict of str to int
        Names with ``/`` from the folder on, sorted, and bytes.
    folders : tuple of str
        Of the folders, likewise, with a ``/`` at their ends: one may have no files.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        below = dict(sorted(_below(os.fspath(path))))
        self.sizes = {name: size for name, size in below.items() if not name.endswith("/")}
        self.folders = tuple(name for name in below if name.endswith("/"))

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
    folders : tuple of str
        Those that the zip lists, with a ``/`` at their ends; not all zips do.

    Raises
    ------
    DatasetDamaged
        If it is no zip, or one that is not to be trusted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except (FileNotFoundError, PermissionError):
            raise
        except Exception as error:  # of a damaged one, zipfile raises what it likes
            raise DatasetDamaged(f"'{path}' is no zip, or a damaged one: {error}") from error
        every = {each.filename: each for each in self._zip.infolist()}
        self._members = {name: each for name, each in every.items() if not name.endswith("/")}
        for member in self._members.values():
            require_plain(path, member)
        self.sizes = {
            name: self._members[name].file_size
            for name in sorted(self._members)
            if not any(map(_is_hidden, name.split("/")))
        }
        self.folders = tuple(
            name
            for name in sorted(every)
            if name.endswith("/") and not any(map(_is_hidden, name.split("/")))
        )

    def read(self, name: str) -> bytes:
        """Return a file's bytes, checked by the zip's own sum."""
        member = self._members[name]
        try:
            return read_member(self._zip, member)
        except Exception as error:  # likewise
            raise DatasetDamaged(f"{name!r} in '{self.path}' cannot be read: {error}") from error

    def require_whole(self) -> None:
        """Raise a DatasetDamaged if a file is not what the zip says by its CRC-32."""
        for name in self.sizes:
            self.read(name)

    def sum_of(self, name: str) -> str:
        """Return the CRC-32 that the zip states of a file."""
        return f"{self._members[name].CRC:08x}"

    # An open file cannot go to another process; its path can.
    def __reduce__(self) -> tuple[Any, ...]:
        return ZipFiles, (self.path,)


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
    contents = uncompressed(path)
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(contents), mode="r:") as archive:
            for member in archive:
                _require_safe(path, member.name)
                if not (member.isreg() or member.isdir()):
                    raise _refused(path, member.name, "is a link or no file")
                if not 0 <= member.size <= len(contents):  # below 0, tarfile goes back
                    raise _refused(path, member.name, f"cannot have {member.size:,} bytes")
                name = member.name.rpartition("/")[2]
                if name in wanted and (opened := archive.extractfile(member)) is not None:
                    found[name] = opened.read()
    except DatasetDamaged:
        raise
    except Exception as error:  # as for a zip
        raise DatasetDamaged(f"'{path}' is no tar archive, or a damaged one: {error}") from error
    missing = [name for name in wanted if name not in found]
    if missing:
        told = ", ".join(map(repr, missing))
        raise DatasetDamaged(f"'{path}' lacks {told}; it is another archive")
    return {name: found[name] for name in wanted}


def uncompressed(path: Path) -> bytes:
    """Return what a file holds, without gzip's compression if its first bytes tell of it.

    Raises
    ------
    DatasetDamaged
        If the compressed file is damaged, or larger than any of this kind.
    """
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not compressed:
            return file.read()
        parts, total = [], 0
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                # Asked for more than there is, it would take that much memory first.
                while part := unpacked.read(2**20):
                    parts.append(part)
                    total += len(part)
                    if total > _LARGEST_UNPACKED:
                        raise DatasetDamaged(
                            f"'{path}' is not read: it holds more than {_LARGEST_UNPACKED:,} bytes"
                        )
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise DatasetDamaged(f"'{path}' is a damaged gzip file: {error}") from error
    return b"".join(parts)


def _below(
    folder: str, prefix: str = "", above: frozenset[str] = frozenset()
) -> Iterator[tuple[str, int]]:
    """Yield the names and sizes of files, and of folders their names with a ``/``, and 0.

    No link is followed back to a folder that it is in.
    """
    real = os.path.realpath(folder)
    if real in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if _is_hidden(entry.name):
                continue
            if entry.is_dir():
                yield f"{prefix}{entry.name}/", 0
                yield from _below(entry.path, f"{prefix}{entry.name}/", above | {real})
            elif entry.is_file():
                yield prefix + entry.name, entry.stat().st_size


def require_plain(path: Path, member: zipfile.ZipInfo) -> None:
    """Raise a DatasetDamaged if a member of a zip is no file that may be read.

    Its name leads elsewhere, it is a link, it is encrypted, or its size cannot be bounded.
    """
    name = member.filename
    _require_safe(path, name)
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        raise _refused(path, name, "is a link or no file")
    if member.flag_bits & 1:
        raise _refused(path, name, "is encrypted")
    if member.compress_type not in _BOUNDED:
        raise _refused(path, name, "is compressed otherwise than by deflate; zip it anew")
    if member.file_size > _LARGEST:
        raise _refused(path, name, f"has more than {_LARGEST:,} bytes")


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Return the bytes of a member that `require_plain` let pass, at most one more than it states.

    Read to its end, it would swell to what it does hold, whatever the zip states.
    """
    with archive.open(member) as opened:
        return opened.read(member.file_size + 1)


def _require_safe(path: Path, name: str) -> None:
    """Raise if a member's name leads elsewhere, on this system or another."""
    if re.match(r"[/\\]|[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name):
        raise _refused(path, name, "leads out of the archive")


def _refused(path: Path, name: str, why: str) -> DatasetDamaged:
    return DatasetDamaged(f"'{path}' is not read: its member {name!r} {why}")


def _is_hidden(part: str) -> bool:
    return part.startswith(".") or part == "__MACOSX"
