"""One process at a time, where several may want the same file."""

from __future__ import annotations

from contextlib import suppress
from typing import IO, Any

__all__ = ["wait_for"]


def wait_for(file: IO[Any]) -> None:
    """Lock an open file; first wait until no other process has it locked.

    The lock ends with the file's closing, or with the process, however that ends. On Windows, and
    on file systems that know no locks, there is none.

    Parameters
    ----------
    file : file object
        Open for writing, which file systems of a network demand.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryFile() as file:
    ...     wait_for(file)
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return
    with suppress(OSError):  # some file systems of clusters have no locks
        fcntl.flock(file, fcntl.LOCK_EX)
