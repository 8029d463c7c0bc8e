"""Grades as the gradebooks of Canvas and Moodle import them.

Canvas knows people by ``ID``, ``SIS User ID`` or ``SIS Login ID``; of an exported gradebook the
rows up to ``Points Possible`` are not of people. Moodle knows them by ``ID number``, ``Email
address`` or ``Username``; its grading worksheet has a column ``Grade``.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from .csv_files import TableError, cells_of, safe_cell
from .grades import Grade

__all__ = ["GRADEBOOKS", "as_canvas", "as_moodle", "require_exported"]

_CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
_CANVAS_KEPT = {*_CANVAS, "Root Account", "Integration ID"}
_CANVAS_KEYS = ("SIS User ID", "SIS Login ID", "ID")
# What there is in all that a platform exports.
_NEEDED = {"Canvas": ("Student", "ID", "Section"), "Moodle": ("Email address",)}
_MOODLE_KEYS = ("ID number", "Email address", "Username")


class _Book(NamedTuple):
    head: list[str]
    rows: list[list[str]]


def as_canvas(
    grades: Sequence[Grade], title: str, exported: Path | None = None
) -> tuple[str, list[str]]:
    """Return a CSV file for Canvas, and who of the class is not in the exported gradebook.

    Parameters
    ----------
    grades : sequence of Grade
    title : str
        Of the assignment: the column, as Canvas has it. Canvas makes a column that is not there.
    exported : Path, optional
        The gradebook as Canvas exports it, whose rows are kept; without it ids are SIS User IDs.

    Raises
    ------
    TableError
        If what was exported is no gradebook of Canvas, or two of its rows may be of one person.
    """
    if exported is None:
        most = max((each.submission.max_score for each in grades if each.submission), default=0)
        head = [*_CANVAS, title]
        rows = [["    Points Possible", "", "", "", "", str(most)]]
        for each in grades:
            person = each.person
            rows.append([person.name, "", person.id, person.email, person.section, _points(each)])
        return _written(head, rows), []
    book = _book(exported, "Canvas")
    column = _column(book.head, title, exported)
    kept = [name for name in book.head if name in _CANVAS_KEPT]
    heading = title if column is None else book.head[column]
    find, found = _finder(grades, book.head, _CANVAS_KEYS), set[str]()
    rows = []
    ends = next((i for i, row in enumerate(book.rows) if row[0].strip() == "Points Possible"), -1)
    for number, row in enumerate(book.rows):
        cells = [row[book.head.index(name)] for name in kept]
        if number <= ends:
            rows.append([*cells, row[column] if column is not None else ""])
            continue
        grade = find(row)
        _note(grade, found, exported)
        rows.append(
            [*cells, _points(grade) if grade else row[column] if column is not None else ""]
        )
    return _written([*kept, heading], rows), _absent(grades, found, exported)


def as_moodle(
    grades: Sequence[Grade], title: str, exported: Path | None = None
) -> tuple[str, list[str]]:
    """Return a CSV file for Moodle, and who of the class is not in the exported file.

    Parameters
    ----------
    grades : sequence of Grade
    title : str
        Of the assignment: a column's, if there is no grading worksheet.
    exported : Path, optional
        The grading worksheet, or exported grades, all of which is kept but the grades.

    Raises
    ------
    TableError
        If what was exported is of something else, or two of its rows may be of one person.
    """
    if exported is None:
        rows = [[each.person.id, each.person.email, _points(each)] for each in grades]
        return _written(["ID number", "Email address", title], rows), []
    book = _book(exported, "Moodle")
    column = (
        book.head.index("Grade") if "Grade" in book.head else _column(book.head, title, exported)
    )
    head = book.head if column is not None else [*book.head, title]
    find, found = _finder(grades, book.head, _MOODLE_KEYS), set[str]()
    rows = []
    for row in book.rows:
        grade = find(row)
        _note(grade, found, exported)
        points = _points(grade) if grade else ("" if column is None else row[column])
        rows.append([*row, points] if column is None else _replaced(row, column, points))
    return _written(head, rows), _absent(grades, found, exported)


GRADEBOOKS: dict[str, Callable[[Sequence[Grade], str, Path | None], tuple[str, list[str]]]] = {
    "canvas": as_canvas,
    "moodle": as_moodle,
}


def require_exported(path: Path, format: str) -> None:
    """Raise a TableError if a file is not what ``canvas`` or ``moodle`` exports."""
    _book(path, format.capitalize())


def _book(path: Path, platform: str) -> _Book:
    [(_, head), *rows] = cells_of(path)
    head = [name.strip() for name in head]
    if missing := [name for name in _NEEDED[platform] if name not in head]:
        raise TableError(
            f"{path}: line 1: there is no column {missing[0]!r}; export it from {platform} anew"
        )
    return _Book(head, [[*row, *[""] * (len(head) - len(row))][: len(head)] for _, row in rows])


def _column(head: Sequence[str], title: str, path: Path) -> int | None:
    """Return where an assignment stands, whose title the platform may have given a number."""
    title_and_number = re.compile(re.escape(title) + r"( \(\d+\)| \(Real\))?")
    found = [i for i, name in enumerate(head) if title_and_number.fullmatch(name)]
    if len(found) > 1:
        raise TableError(f"{path}: line 1: {len(found)} columns may be {title!r}; keep one of them")
    return found[0] if found else None


def _finder(
    grades: Sequence[Grade], head: Sequence[str], keys: Sequence[str]
) -> Callable[[Sequence[str]], Grade | None]:
    """Return what finds the grade of a row: by id, or by an email that nobody else has."""
    places = [head.index(key) for key in keys if key in head]
    owners: dict[str, list[Grade]] = {}
    for each in grades:
        for name in {each.person.id.casefold(), each.person.email.casefold()} - {""}:
            owners.setdefault(name, []).append(each)
    known = {name: found[0] for name, found in owners.items() if len(found) == 1}

    def find(row: Sequence[str]) -> Grade | None:
        names = (row[place].strip().casefold() for place in places)
        return next((known[name] for name in names if name in known), None)

    return find


def _note(grade: Grade | None, found: set[str], path: Path) -> None:
    """Note whose row one is; no two are somebody's."""
    if grade is None:
        return
    if grade.person.id in found:
        raise TableError(f"{path}: two rows may be of {grade.person.id!r}; take one of them out")
    found.add(grade.person.id)


def _absent(grades: Sequence[Grade], found: set[str], path: Path) -> list[str]:
    return [f"{each.person.id} is not in {path}" for each in grades if each.person.id not in found]


def _replaced(row: list[str], column: int, text: str) -> list[str]:
    return [*row[:column], text, *row[column + 1 :]]


def _points(grade: Grade) -> str:
    return f"{grade.final:g}"


def _written(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([safe_cell(cell) for cell in row] for row in (head, *rows))
    return text.getvalue()
