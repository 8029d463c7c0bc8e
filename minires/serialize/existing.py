"""The file that a path names, or an error that helps to find it."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["existing_file"]


def existing_file(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file to load, if there is one.

    Raises
    ------
    FileNotFoundError
        There is no such file; the message names those of its kind beside it.
    IsADirectoryError
        ``path`` is a folder.
    """
    file = Path(path)
    if file.is_dir():
        raise IsADirectoryError(f"cannot load '{file}': it is a folder; name a file inside it")
    if not file.exists():
        kind = file.suffix or ".safetensors"
        neighbours = sorted(o.name for o in file.parent.glob("*") if o.suffix == kind)
        found = f"; beside it there are: {', '.join(neighbours)}" if neighbours else ""
        raise FileNotFoundError(f"cannot load '{file}': there is no such file{found}")
    return file
