"""CSV files from spreadsheets: lenient about order and letters, exact about what is wrong."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["Line", "TableError", "cells_of", "read_lines", "safe_cell"]

_MOST_BYTES = 16 * 2**20
# With these, and with the wide ones of Asian keyboards, a spreadsheet takes a cell for a formula.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# None are a number, and the dash that gradebooks have where there is none.
_HARMLESS = re.compile(r"-|[+-]?[0-9]+([.,][0-9]+)?")


class TableError(ValueError):
    """A CSV file that cannot be used; it names the file, and the line if there is one."""


class Line(NamedTuple):
    """A line of a table.

    Attributes
    ----------
    where : str
        The file and the line's number, for messages.
    cells : dict of str to str
        By the names of the columns that were asked for; "" for what is not there.
    """

    where: str
    cells: dict[str, str]


def cells_of(path: Path) -> list[tuple[int, list[str]]]:
    """Return the rows of a CSV file that are not empty, with the lines at which they end.

    Raises
    ------
    TableError
        If it cannot be read.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise TableError(f"{path}: has more than {_MOST_BYTES:,} bytes")
        # Names of files are taken so, too, whichever way a system writes accents.
        text = unicodedata.normalize("NFC", path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise TableError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise TableError(f"{path}: is not UTF-8; save it as 'CSV UTF-8'") from None
    head = text.partition("\n")[0]
    # Spreadsheets write semicolons where the comma is the decimal point.
    rows = csv.reader(
        io.StringIO(text, newline=""), delimiter=";" if head.count(";") > head.count(",") else ","
    )
    try:
        found = [(rows.line_num, row) for row in rows if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise TableError(f"{path}: line {rows.line_num}: {error}") from None
    if not found:
        raise TableError(f"{path}: is empty")
    return found


def read_lines(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> list[Line]:
    """Read a CSV file whose first line names its columns, in any order; others are left out.

    Parameters
    ----------
    path : Path
    required, optional : sequence of str
        Names of columns, in small letters.

    Raises
    ------
    TableError
        If it cannot be read, lacks a column, has one twice, or a line has too many cells.
    """
    [(_, head), *rows] = cells_of(path)
    names = [name.strip().lower() for name in head]
    known = (*required, *optional)
    for name in known:
        if names.count(name) > 1:
            raise TableError(f"{path}: line 1: the column {name!r} stands there twice")
    if missing := [name for name in required if name not in names]:
        raise TableError(
            f"{path}: line 1: there is no column {missing[0]!r}; it needs {', '.join(required)}"
        )
    lines = []
    for number, row in rows:
        where = f"{path}: line {number}"
        if len(row) > len(names) and any(row[len(names) :]):
            raise TableError(f"{where}: has {len(row)} cells, and there are {len(names)} columns")
        cells = dict(zip(names, (cell.strip() for cell in row), strict=False))
        lines.append(Line(where, {name: cells.get(name, "") for name in known}))
    return lines


def safe_cell(text: str) -> str:
    """Return a text as a cell that no spreadsheet takes for a formula.

    Examples
    --------
    >>> safe_cell("=1+1"), safe_cell("ada"), safe_cell("-1.5")
    ("'=1+1", 'ada', '-1.5')
    """
    return f"'{text}" if text.startswith(_FORMULAS) and not _HARMLESS.fullmatch(text) else text
