"""Folders that are made whole or not at all, and what is said where nothing can be written."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .assignment import AssignmentError

__all__ = ["made_whole", "writing_in"]

_REFUSALS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC}


@contextmanager
def writing_in(folder: Path) -> Iterator[None]:
    """Write in a folder; if that is not allowed, name the folder, and no file made on the way.

    Raises
    ------
    AssignmentError
        If nothing can be written there.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        raise AssignmentError(
            f"nothing can be written in '{folder.absolute()}': {error.strerror}"
        ) from None


@contextmanager
def made_whole(folder: Path) -> Iterator[Path]:
    """Yield the path of a folder that is to be made; when it is, it takes the name of another.

    Parameters
    ----------
    folder : Path
        Must not be there yet.

    Raises
    ------
    AssignmentError
        If it is, or nothing can be written there.
    """
    if folder.exists():
        raise AssignmentError(
            f"'{folder}' is there already, and is not overwritten: name another folder, with --to"
        )
    parent = folder.absolute().parent
    with writing_in(parent):
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent, prefix=".minires-") as place:
            made = Path(place) / folder.name
            yield made
            made.replace(folder)
