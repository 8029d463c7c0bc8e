"""The tutorials there are, and what each says of itself in its first lines."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_TITLE = re.compile(r"^# # (\d+)\. (.+)$", re.MULTILINE)
_MINUTES = re.compile(r"^# \*\*(\d+) minutes\*\*", re.MULTILINE)


@dataclass(frozen=True)
class Tutorial:
    """One tutorial.

    Attributes
    ----------
    number : int
    title : str
    minutes : int
        How long it takes to read and to do.
    path : pathlib.Path
        Its file, a notebook written as Python.
    """

    number: int
    title: str
    minutes: int
    path: Path

    @property
    def name(self) -> str:
        """The file's name without its ending, such as ``"01_tape"``."""
        return self.path.stem


def root() -> Path:
    """Return the folder that holds ``tutorials`` and ``docs``.

    Raises
    ------
    FileNotFoundError
        If minires was installed without them.
    """
    folder = Path(__file__).resolve().parents[2]
    if not (folder / "tutorials").is_dir():
        raise FileNotFoundError(
            "the tutorials are no part of the installed package; get minires' source, and in its"
            " folder: python -m pip install -e '.[tutorials]'"
        )
    return folder


@cache
def all_tutorials() -> tuple[Tutorial, ...]:
    """Return all tutorials, in their order.

    Examples
    --------
    >>> all_tutorials()[0].name
    '01_tape'
    """
    return tuple(_read(path) for path in sorted((root() / "tutorials").glob("[0-9][0-9]_*.py")))


def _read(path: Path) -> Tutorial:
    text = path.read_text(encoding="utf-8")
    title, minutes = _TITLE.search(text), _MINUTES.search(text)
    if title is None or minutes is None or int(title[1]) != int(path.name[:2]):
        raise ValueError(
            f"{path.name}: expected a title '# N. ...', with the file's number, and"
            " '**M minutes**' in its first cell"
        )
    return Tutorial(int(title[1]), title[2], int(minutes[1]), path)
