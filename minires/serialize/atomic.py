"""Write a file whole or not at all: beside its target first, then renamed over it."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, Literal, overload

__all__ = ["atomic_write"]


@overload
def atomic_write(
    path: str | os.PathLike[str], mode: Literal["wb"] = "wb"
) -> AbstractContextManager[IO[bytes]]: ...


@overload
def atomic_write(
    path: str | os.PathLike[str], mode: Literal["w"]
) -> AbstractContextManager[IO[str]]: ...


def atomic_write(
    path: str | os.PathLike[str], mode: Literal["wb", "w"] = "wb"
) -> AbstractContextManager[IO[Any]]:
    r"""Open a file for writing that appears under its name only when it is complete.

    What is written goes to a temporary file in the same folder. Leaving the block normally
    flushes it to the disk and renames it over ``path`` in one step, which is flushed as well, so
    that files written one after the other reach the disk in that order; leaving it by an exception
    removes it, and a file that was there before stays as it was. The new file keeps the
    permissions of the one that it replaces, and a symbolic link is followed, not replaced.

    Parameters
    ----------
    path : str or os.PathLike
        The file to write. Its folder must exist.
    mode : {"wb", "w"}, default "wb"
        Bytes, or text (UTF-8, with ``\n`` line ends on every system).

    Returns
    -------
    context manager of a file object
        Open for writing inside the ``with`` block.

    Raises
    ------
    FileNotFoundError
        The folder of ``path`` does not exist.
    IsADirectoryError
        ``path`` is a folder.
    ValueError
        ``mode`` is neither ``"wb"`` nor ``"w"``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> report = Path(tempfile.mkdtemp()) / "report.txt"
    >>> with atomic_write(report, "w") as file:
    ...     _ = file.write("loss 0.25")
    >>> report.read_text()
    'loss 0.25'
    """
    if mode not in ("wb", "w"):
        raise ValueError(
            f"atomic_write: mode must be 'wb' or 'w', got {mode!r}; the file is always written anew"
        )
    return _writing_beside(Path(path), mode)


@contextmanager
def _writing_beside(path: Path, mode: str) -> Iterator[IO[Any]]:
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(f"cannot write '{path}': it is a folder; name a file inside it")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"cannot write '{path}': the folder '{target.parent}' does not exist; create it first"
        )
    # The name is cut so that it stays legal when the target's own is as long as a name may be.
    temporary = target.with_name(f".{target.name[:32]}.{secrets.token_hex(6)}.tmp")
    text_options = {"encoding": "utf-8", "newline": "\n"} if mode == "w" else {}
    try:
        with temporary.open(mode.replace("w", "x"), **text_options) as file:  # type: ignore[call-overload]
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
        _flush_folder(target.parent)
    except BaseException:  # also on Ctrl-C: nothing half-written stays behind
        temporary.unlink(missing_ok=True)
        raise


def _flush_folder(folder: Path) -> None:
    """Bring a folder's list of names to the disk; Windows has no way to, and no need."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
