"""The assignments that come with minires."""

from __future__ import annotations

from pathlib import Path

from .assignment import Assignment, AssignmentError

__all__ = ["assignment_of", "names"]

_FOLDER = Path(__file__).parent / "assignments"


def names() -> list[str]:
    """Return their names, in the order in which they are taught.

    Examples
    --------
    >>> "a1_tape" in names()
    True
    """
    return sorted(path.parent.name for path in _FOLDER.glob("*/assignment.toml"))


def assignment_of(name_or_folder: str) -> Assignment:
    """Return an assignment by its name, by the beginning of it, as ``a2``, or by its folder.

    Raises
    ------
    AssignmentError
        If there is none.
    """
    folder = Path(name_or_folder)
    if (folder / "assignment.toml").is_file():
        return Assignment(folder)
    found = [name for name in names() if name == name_or_folder or name.startswith(f"{folder}_")]
    if len(found) != 1:
        raise AssignmentError(
            f"there is no assignment {name_or_folder!r}, and no folder of that name with an"
            f" assignment.toml; there are {', '.join(names())}"
        )
    return Assignment(_FOLDER / found[0])
