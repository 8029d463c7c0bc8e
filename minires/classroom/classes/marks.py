"""Points that people give: of the written parts, which nothing but people can read."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from minires.serialize.atomic import atomic_write

from ..results import GradedCheck, Submission
from .csv_files import Line, TableError, read_lines, safe_cell

__all__ = ["UNREAD", "keep_marks", "marked", "read_marks", "with_marks"]

# Of a check that waits for its points, and of one that has been given them.
UNREAD, READ = "unread", "read"
_KEPT = "marks.csv"
_COLUMNS = ("id", "check", "points")


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
    by_id = {id: each for each in submissions for id in (each.id, safe_cell(each.id))}
    marks: dict[tuple[str, str], int] = {}
    for line in read_lines(path, _COLUMNS):
        id, name = line.cells["id"], line.cells["check"]
        if id not in by_id:
            raise TableError(f"{line.where}: there is no submission {id[:100]!r}")
        texts = _texts(by_id[id])
        if name not in texts:
            there = f"; there are {', '.join(texts)}" if texts else ""
            raise TableError(
                f"{line.where}: {name[:100]!r} is no check of {id} that people read{there}"
            )
        key = by_id[id].id, name
        if key in marks:
            raise TableError(f"{line.where}: {name} of {id} has a mark already")
        marks[key] = _points(line, texts[name])
    return marks


def _texts(submission: Submission) -> dict[str, GradedCheck]:
    return {each.name: each for each in submission.checks if each.status in (UNREAD, READ)}


def _points(line: Line, check: GradedCheck) -> int:
    points = line.cells["points"]
    whole = points.isascii() and points.isdigit() and len(points) < 10
    if whole and int(points) <= check.max_points:
        return int(points)
    raise TableError(
        f"{line.where}: {points[:20]!r} is no number of points; whole ones from 0 to"
        f" {check.max_points} are"
    )


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
    """Look through a file of marks, and keep them with the results, beside those that are there.

    Each is kept with a checksum of the text that it is of.

    Raises
    ------
    TableError
        As `read_marks`.
    """
    texts = {(each.id, name): check for each in submissions for name, check in _texts(each).items()}
    rows = {(line.cells["id"], line.cells["check"]): line.cells for line in _kept(out)}
    for (id, name), points in read_marks(path, submissions).items():
        cells = {"id": safe_cell(id), "check": name, "points": str(points)}
        rows[cells["id"], name] = {**cells, "text": _digest(texts[id, name])}
    written = io.StringIO()
    table = csv.DictWriter(written, [*_COLUMNS, "text"], lineterminator="\n")
    table.writeheader()
    table.writerows(rows.values())
    with atomic_write(out / _KEPT, "w") as file:
        file.write(written.getvalue())


def with_marks(out: Path, submissions: Sequence[Submission]) -> list[Submission]:
    """Return submissions with the points of the marks that are kept with them.

    A text that is another one than was read has no points.
    """
    texts = {
        (safe_cell(each.id), name): (each.id, check)
        for each in submissions
        for name, check in _texts(each).items()
    }
    marks = {}
    for line in _kept(out):
        id, check = texts.get((line.cells["id"], line.cells["check"]), ("", None))
        if check is not None and line.cells["text"] == _digest(check):
            marks[id, check.name] = _points(line, check)
    return [marked(each, marks) for each in submissions]


def _kept(out: Path) -> list[Line]:
    return read_lines(out / _KEPT, _COLUMNS, ("text",)) if (out / _KEPT).exists() else []


def _digest(check: GradedCheck) -> str:
    return hashlib.sha256(check.message.encode()).hexdigest()[:16]
