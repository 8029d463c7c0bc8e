"""A new assignment: a small one that works, to be changed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from .assignment import AssignmentError
from .writing import made_whole

__all__ = ["new_assignment"]

_TEMPLATE = Path(__file__).parent / "template"


def new_assignment(name: str, folder: Path) -> Path:
    """Make the folder of a new assignment.

    Parameters
    ----------
    name : str
        Small letters, figures and ``-`` or ``_``.
    folder : Path
        Must not be there yet.

    Raises
    ------
    AssignmentError
        If the name is no such name, or the folder is there.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,59}", name):
        raise AssignmentError(
            f"{name!r} is no name of an assignment; take small letters, figures and -, as in"
            " residual-101"
        )
    with made_whole(folder) as made:
        shutil.copytree(_TEMPLATE, made, ignore=shutil.ignore_patterns("__pycache__"))
    return folder
