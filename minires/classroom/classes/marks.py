"""Points that people give: of the written parts, which nothing but people can read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from minires.serialize.atomic import atomic_write

from ..results import Submission
from .csv_files import TableError, read_lines

__all__ = ["keep_marks", "marked", "read_marks", "with_marks"]

# Of a check that waits for its points, and of one that has been given them.
UNREAD, READ = "unread", "read"
_KEPT = "marks.csv"


def read_marks(path: Path, submissions: Sequence[Submission]) -> dict[tuple[str, str], int]:
    """Read points from a CSV file with the columns id, check and points.

    Returns
    -------
    dict of (str, str) to int
        By the ids of submissions and the names of checks.

    Raises
    ------
    TableError
        With the line's number: of an id or check that is not there, one that is not to be read by
        people, too many points, or two marks of one.
    """
    by_id = {each.id: each for each in submissions}
    marks: dict[tuple[str, str], int] = {}
    for line in read_lines(path, ("id", "check", "points")):
        id, name, points = (line.cells[each] for each in ("id", "check", "points"))
        if id not in by_id:
            raise TableError(f"{line.where}: there is no submission {id[:100]!r}")
        checks = {each.name: each for each in by_id[id].checks}
        if name not in checks or checks[name].status not in (UNREAD, READ):
            unread = [each.name for each in checks.values() if each.status in (UNREAD, READ)]
            there = f"; there are {', '.join(unread)}" if unread else ""
            raise TableError(
                f"{line.where}: {name[:100]!r} is no check of {id} that people read{there}"
            )
        most = checks[name].max_points
        if not (points.isascii() and points.isdigit() and int(points[:9]) <= most):
            raise TableError(
                f"{line.where}: {points[:20]!r} is no number of points; whole ones from 0 to"
                f" {most} are"
            )
        if (id, name) in marks:
            raise TableError(f"{line.where}: {name} of {id} has a mark already")
        marks[id, name] = int(points)
    return marks


def marked(submission: Submission, marks: Mapping[tuple[str, str], int]) -> Submission:
    """Return a submission with the points that people gave."""
    checks = tuple(
        dataclasses.replace(check, status=READ, points=marks[submission.id, check.name])
        if (submission.id, check.name) in marks
        else check
        for check in submission.checks
    )
    return dataclasses.replace(submission, checks=checks)


def keep_marks(path: Path, out: Path, submissions: Sequence[Submission]) -> None:
    """Look through a file of marks, and keep it with the results.

    Raises
    ------
    TableError
        As `read_marks`.
    """
    read_marks(path, submissions)
    with atomic_write(out / _KEPT) as file:
        file.write(path.read_bytes())


def with_marks(out: Path, submissions: Sequence[Submission]) -> list[Submission]:
    """Return submissions with the points of the marks that are kept with them."""
    kept = out / _KEPT
    marks = read_marks(kept, submissions) if kept.exists() else {}
    return [marked(each, marks) for each in submissions]
