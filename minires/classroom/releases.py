"""An assignment given out: folders for students, and a bundle for grading."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from .assignment import Assignment
from .bundle import make_bundle, secret_of
from .classes.roster import Person
from .release import release
from .writing import made_whole

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
    with made_whole(folder) as made:
        secret = secret_of(make_bundle(assignment, made / "grader"))
        students, name = Path("students"), assignment.name
        if people is None:
            seeds: dict[Path, int | None] = {students / name: None}
        else:
            seeds = {students / id / name: variant_seed(secret, id) for id in people}
        for path, seed in seeds.items():
            release(assignment, made / path, seed=seed)
    return [folder / path for path in seeds]


def variant_seed(secret: bytes, id: str) -> int:
    """Return the seed of somebody's numbers: always the same, and nobody's guess.

    Examples
    --------
    >>> variant_seed(bytes(32), "ada") == variant_seed(bytes(32), "bob")
    False
    """
    return int.from_bytes(hashlib.blake2b(id.encode(), key=secret, digest_size=6).digest())
