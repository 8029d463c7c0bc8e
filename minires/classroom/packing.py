"""Folders in zips that are the same whenever they are packed again."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from minires.serialize.atomic import atomic_write

__all__ = ["contents", "pack"]

_EPOCH = (1980, 1, 1, 0, 0, 0)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all files in a folder, by their names in it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def pack(target: Path, files: Mapping[str, bytes], executable: tuple[str, ...] = ()) -> None:
    """Write files to a zip, in the order of their names, without dates or owners.

    Parameters
    ----------
    target : Path
    files : mapping of str to bytes
        By their names, with slashes.
    executable : tuple of str
        Names of programs.
    """
    with atomic_write(target) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, _EPOCH)
            member.create_system = 3  # on Windows, too, so that the bytes are the same
            member.external_attr = (0o100755 if name in executable else 0o100644) << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, files[name])
