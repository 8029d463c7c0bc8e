"""One process at a time in a run's folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minires.serialize.locking import alone_in

from .errors import RunError

__all__ = ["locked"]


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder inside the block; a kill lets go of it, too.

    The folder itself is what is locked, so that no file tells of it. Windows, whose folders cannot
    be, is trusted.

    Raises
    ------
    RunError
        If another process is in it.
    """
    with alone_in(folder) as alone:
        if not alone:
            raise RunError(
                f"another process is training in '{folder}'; wait for its end, or stop it"
            )
        yield
