"""The assignments that come with minires.

Students' folders are in the package, packed, for what they are made from has the solutions and is
in the repository alone. After a change of an assignment they are made again::

    python -m minires.classroom.shipped
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from .assignment import Assignment, AssignmentError, Sheet
from .packing import contents, pack
from .release import SHEET, release
from .running.processes import Runner, run_alone
from .writing import made_whole

__all__ = ["assignment_of", "give_out", "names", "sheet_of", "start"]

_FOLDER = Path(__file__).parent / "assignments"
_HANDED_OUT = Path(__file__).parent / "handed_out"


def names() -> list[str]:
    """Return their names, in the order in which they are taught.

    Examples
    --------
    >>> "a1_tape" in names()
    True
    """
    written = {path.parent.name for path in _FOLDER.glob("*/assignment.toml")}
    return sorted(written | {path.stem for path in _HANDED_OUT.glob("*.zip")})


def assignment_of(name_or_folder: str) -> Assignment:
    """Return an assignment by its name, by the beginning of it, as ``a2``, or by its folder.

    Raises
    ------
    AssignmentError
        If there is none, or none with its solution.
    """
    folder = Path(name_or_folder)
    if (folder / "assignment.toml").is_file():
        return Assignment(folder)
    found = _FOLDER / _whole_name(name_or_folder)
    if not found.is_dir():
        raise AssignmentError(
            f"the solution of {found.name} does not come with the package: it is in the repository,"
            f" in minires/classroom/assignments/{found.name}; name that folder"
        )
    return Assignment(found)


def sheet_of(name: str) -> Sheet:
    """Return what students know of an assignment that comes with minires, by its name."""
    if not _zip(name).exists():
        return assignment_of(name)
    with tempfile.TemporaryDirectory(prefix="minires-") as place:
        _unpack(name, Path(place))
        return Sheet(Path(place) / SHEET)


def start(name_or_folder: str, to: Path) -> Sheet:
    """Make the folder that students get of an assignment.

    Parameters
    ----------
    name_or_folder : str
        As of `assignment_of`; of one that comes with minires no solution is needed.
    to : Path
        Must not be there yet.

    Raises
    ------
    AssignmentError
        If there is no such assignment, the folder is there, or it cannot be made.
    """
    its_own = (Path(name_or_folder) / "assignment.toml").is_file()
    name = "" if its_own else _whole_name(name_or_folder)
    if its_own or not _zip(name).exists():
        release(assignment_of(name_or_folder), to)
    else:
        with made_whole(to) as made:
            _unpack(name, made)
    return Sheet(to / SHEET)


def give_out(
    wanted: Sequence[str] = (), to: Path = _HANDED_OUT, runner: Runner = run_alone
) -> None:
    """Make students' folders of assignments in the repository, and pack them.

    Parameters
    ----------
    wanted : sequence of str
        Names; all, if there are none.
    to : Path
        Folder of the zips.
    runner : Runner
    """
    to.mkdir(exist_ok=True)
    for path in sorted(_FOLDER.glob("*/assignment.toml")):
        assignment = Assignment(path.parent)
        if wanted and assignment.name not in wanted:
            continue
        with tempfile.TemporaryDirectory(prefix="minires-") as place:
            folder = release(assignment, Path(place) / assignment.name, runner)
            pack(to / f"{assignment.name}.zip", contents(folder))


def _unpack(name: str, folder: Path) -> None:
    with zipfile.ZipFile(_zip(name)) as archive:
        archive.extractall(folder)


def _zip(name: str) -> Path:
    return _HANDED_OUT / f"{name}.zip"


def _whole_name(name: str) -> str:
    found = [each for each in names() if each == name or each.startswith(f"{name}_")]
    if len(found) != 1:
        raise AssignmentError(
            f"there is no assignment {name!r}, and no folder of that name with an assignment.toml;"
            f" there are {', '.join(names())}"
        )
    return found[0]


if __name__ == "__main__":
    give_out()
