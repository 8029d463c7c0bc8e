"""An assignment given out: folders for students, and a bundle for grading."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

from .assignment import Assignment, AssignmentError
from .bundle import make_bundle, secret_of
from .classes.roster import Person
from .release import release

__all__ = ["make_release", "variant_seed"]


def make_release(
    assignment: Assignment, folder: Path, people: Mapping[str, Person] | None = None
) -> list[Path]:
    """Make ``students/`` and ``grader/`` in a new folder, or nothing at all.

    Parameters
    ----------
    assignment : Assignment
    folder : Path
        Must not be there yet.
    people : mapping of str to Person, optional
        Each gets a folder of their own, whose numbers differ from those of others; else there is
        one for all.

    Returns
    -------
    list of Path
        The folders for students.

    Raises
    ------
    AssignmentError
        If the folder is there.
    """
    if folder.exists():
        raise AssignmentError(f"'{folder}' is there already, and is not overwritten")
    folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.absolute().parent, prefix=".minires-") as place:
        made = Path(place) / folder.name
        secret = secret_of(make_bundle(assignment, made / "grader"))
        students, name = Path("students"), assignment.name
        if people is None:
            seeds: dict[Path, int | None] = {students / name: None}
        else:
            seeds = {students / id / name: variant_seed(secret, id) for id in people}
        for path, seed in seeds.items():
            release(assignment, made / path, seed=seed)
        made.replace(folder)
    return [folder / path for path in seeds]


def variant_seed(secret: bytes, id: str) -> int:
    """Return the seed of somebody's numbers: always the same, and nobody's guess.

    Examples
    --------
    >>> variant_seed(bytes(32), "ada") == variant_seed(bytes(32), "bob")
    False
    """
    return int.from_bytes(hashlib.blake2b(id.encode(), key=secret, digest_size=6).digest())
