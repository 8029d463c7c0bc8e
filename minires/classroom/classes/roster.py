"""Who is in a class."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from .csv_files import TableError, read_lines
from .lateness import moment

__all__ = ["Person", "read_roster"]

# Ids name files and folders.
_ID = re.compile(r"[\w@+-][\w@+. -]{0,99}")


class Person(NamedTuple):
    """Who hands in.

    Attributes
    ----------
    id : str
        What their submission is called.
    name, email : str
    group : str
        One submission of a group, called as it or one of its members, counts for all.
    section : str
    due : datetime or None
        A deadline of their own.
    """

    id: str
    name: str = ""
    email: str = ""
    group: str = ""
    section: str = ""
    due: datetime | None = None


def read_roster(path: Path) -> dict[str, Person]:
    """Read a class from a CSV file with the columns id, name and email, in any order.

    The columns group, section and due (a deadline of one's own, as 2026-12-02T23:59+01:00) may be
    there.

    Returns
    -------
    dict of str to Person
        By their ids, in the file's order.

    Raises
    ------
    TableError
        With the line's number.
    """
    people: dict[str, Person] = {}
    first: dict[str, str] = {}
    for line in read_lines(path, ("id", "name", "email"), ("group", "section", "due")):
        cells, id = line.cells, line.cells["id"]
        if not _ID.fullmatch(id):
            raise TableError(f"{line.where}: the id {id[:100]!r} cannot be that of a file")
        if (folded := id.casefold()) in first:  # not all systems and gradebooks tell them apart
            raise TableError(f"{line.where}: the id {id!r} stands in {first[folded]} already")
        if cells["email"] and "@" not in cells["email"]:
            raise TableError(f"{line.where}: {cells['email'][:100]!r} is no email address")
        try:
            due = moment(cells["due"]) if cells["due"] else None
        except ValueError as error:
            raise TableError(f"{line.where}: {error}") from None
        texts = {name: cells[name] for name in ("name", "email", "group", "section")}
        people[id] = Person(id, **texts, due=due)
        first[folded] = line.where.rpartition(": ")[2]
    if not people:
        raise TableError(f"{path}: names nobody")
    for person in people.values():
        if person.group in people:
            raise TableError(f"{path}: {person.group!r} is a group and somebody's id")
    return people
