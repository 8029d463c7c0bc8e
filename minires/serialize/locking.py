"""One process at a time, where several may want the same file or folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

__all__ = ["alone_in", "lock"]


@contextmanager
def alone_in(folder: Path) -> Iterator[bool]:
    """Lock a folder against other processes inside the block; a kill lets go of it, too.

    The folder itself is what is locked, so that no file tells of it. Windows, whose folders cannot
    be, is trusted.

    Yields
    ------
    bool
        False if another process has it; there is no waiting for that.
    """
    if sys.platform == "win32":
        yield True
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield lock(descriptor, wait=False)
    finally:
        os.close(descriptor)


def lock(opened: IO[Any] | int, *, wait: bool = True) -> bool:
    """Lock an open file, or the descriptor of a folder, against other processes.

    The lock ends when it is closed, or with the process, however that ends. Windows, and file
    systems without locks, are trusted.

    Parameters
    ----------
    opened : file object or int
        A file is open for writing, which file systems of a network demand.
    wait : bool
        Until no other process has it.

    Returns
    -------
    bool
        False if another process has it, and `wait` is False.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryFile() as file:
    ...     lock(file)
    True
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True
