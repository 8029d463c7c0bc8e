"""What is said where nothing can be written."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .assignment import AssignmentError

__all__ = ["writing_in"]

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
