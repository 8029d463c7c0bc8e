"""The folder of a command's results: checked before the work begins."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import typer

from minires.lab import holds_comparison


@contextmanager
def prepared_folder(out: Path | None, command: str) -> Iterator[Path]:
    """Make sure of a folder that can be written to; take it away again if it stays empty.

    Parameters
    ----------
    out : Path, optional
        By default ``runs/<time>-<command>``.
    command : str

    Raises
    ------
    typer.BadParameter
        If the folder cannot be made or written to, or already holds results.
    """
    folder = fresh_folder(command) if out is None else out
    if holds_comparison(folder):
        raise typer.BadParameter(
            f"--out {folder}: there is a comparison in it already, which is not overwritten; name"
            " another folder"
        )
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            reason = error.strerror or str(error)
            if isinstance(error, FileExistsError):
                reason = "there is a file of that name"
            raise typer.BadParameter(f"--out {folder}: cannot be written to ({reason})") from None
        yield folder
    finally:
        for each in made:
            with suppress(OSError):  # it is not empty, as it should be
                each.rmdir()


def fresh_folder(command: str) -> Path:
    """Name a folder for the results of a command that is not there yet."""
    base = Path("runs") / f"{datetime.now():%Y-%m-%d-%H%M%S}-{command}"
    folder, number = base, 1
    while folder.exists():
        number += 1
        folder = base.with_name(f"{base.name}-{number}")
    return folder
