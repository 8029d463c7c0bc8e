"""What students read off and write down in a file of answers, which is data and nothing else.

Where ``assignment.toml`` has ``[answers]``, students choose a seed and a configuration, record
something themselves, and hand in what they read: numbers in ``[readings]``, texts in ``[written]``.
Nothing that was recorded is handed in: the assignment's ``readings.py`` has ``record(seed,
configuration)``, which records it again and returns what is to be read, by the names of the checks;
and ``mistaken(record)``, which returns what it comes to if a known mistake is made while reading.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from .running.printable import as_printable
from .slips import slip
from .source import SourceError

if TYPE_CHECKING:
    from .assignment import Check, Sheet

__all__ = ["Answered", "Said", "solved_answers", "unanswered"]

# Of a file of answers, and of a text in it as it is told.
_MOST_BYTES = 2**14
_MOST_TOLD = 2_000
# Of a wrong value, and of a name that is not asked, as they are told; and of how many of these.
_MOST_SHOWN, _MOST_SAID, _MOST_UNKNOWN = 40, 80, 3
_LARGE = 10**15
_SOLUTION = re.compile(r'^(\w+ = )("""[\s\S]*?"""|[^\n]*?)  # SOLUTION$', re.MULTILINE)


# A table of the file, or none, and a key in it.
_Place = tuple[str, str]


class Said(NamedTuple):
    """What is said of an answer.

    Attributes
    ----------
    status : str
        ``passed``, ``failed``, or ``unread``: a text, which a human has to read.
    says : str
    mistake : str or None
        The id of a known mistake that comes to the same number.
    """

    status: Literal["passed", "failed", "unread"]
    says: str = ""
    mistake: str | None = None


class _UnreadableError(ValueError):
    """A file of which nothing can be read; says why, for the student."""


class Answered:
    """The answers of a submission, read once, before any code of it runs.

    A slip costs what it is made in: a reading or a text itself alone; the seed or the configuration
    all readings, which are held to what these record; a name that is not asked nothing. Only if
    the file as a whole cannot be read, nothing in it counts.

    Parameters
    ----------
    sheet : Sheet
        Of an assignment with ``[answers]``.
    folder : Path
        Of the submission. Of all that lies in it, only the file of answers is looked at.
    """

    def __init__(self, sheet: Sheet, folder: Path) -> None:
        self._sheet = sheet
        self._file = sheet.file_of("")
        self._answers: dict[_Place, Any] = {}
        self._wrong: dict[_Place, str] = {}
        self._unknown: list[str] = []
        self._unreadable = ""
        try:
            self._take(*_read(folder / self._file))
        except _UnreadableError as error:
            self._unreadable = str(error)
        asked = _asked(sheet)
        # A name that is not asked may be meant for one that is missing; else it is told once.
        missing = any(place not in self._answers | self._wrong for place in asked)
        answers = [name for table, name in asked if table in ("readings", "written")]
        self._tells = [] if missing else answers[:1]

    def said_of(self, check: Check) -> Said:
        """Return what is said of the answer that a check is of."""
        if self._unreadable:
            says, self._unreadable = self._unreadable, f"{self._file} cannot be read, see above"
            return Said("failed", says)
        said = self._said_of(check)
        if check.name in self._tells:
            return said._replace(says="\n".join(filter(None, [said.says, *self._unknown])))
        return said

    def _said_of(self, check: Check) -> Said:
        if check.kind == "written":
            place = ("written", check.name)
            if place not in self._answers:
                return self._missed(place, "yours to write")
            return Said("unread", self._answers[place][:_MOST_TOLD])
        place = ("readings", check.name)
        if place not in self._answers:
            return self._missed(place, "yours to read")
        chosen = ("", "seed"), *(("configuration", key) for key in self._sheet.choices)
        for each in chosen:
            if each not in self._answers:
                return self._missed(each, "yours to choose, before you read")
        seed, *configuration = [self._answers[each] for each in chosen]
        record = self._sheet.recorded(
            seed, dict(zip(self._sheet.choices, configuration, strict=True))
        )
        return _said_of_reading(check, self._answers[place], *record)

    def _missed(self, place: _Place, whose: str) -> Said:
        if place in self._wrong:
            return Said("failed", self._wrong[place])
        return Said("failed", "\n".join([f"{place[1]} is {whose}", *self._unknown]))

    def _take(self, text: str, table: dict[str, Any]) -> None:
        """Sort what stands in the file: what can be taken, what is wrong, what is not asked."""
        asked = _asked(self._sheet)
        tables = dict.fromkeys(each for each, _ in asked if each)
        found: dict[_Place, Any] = {}
        for key, value in table.items():
            within = key in tables and isinstance(value, dict)
            found |= {(key, each): inner for each, inner in value.items()} if within else {}
            found |= {} if within else {("", key): value}
        for place, value in found.items():
            if isinstance(value, str):
                value = _clean(value)
            if value == "":
                continue  # as it is given out
            where = f"{self._file}{_line_of(text, place)}: {place[1]} "
            right = [each for each in asked if each[1] == place[1]]
            if place in asked:
                if wrong := self._wrong_with(place, value):
                    self._wrong[place] = _clean(f"{where}should be {wrong}")
                else:
                    self._answers[place] = value
            elif right:
                belongs = f"under [{right[0][0]}]" if right[0][0] else "at the top"
                self._wrong.setdefault(right[0], f"{where}belongs {belongs}")
            elif len(self._unknown) < _MOST_UNKNOWN:
                self._unknown.append(
                    _clean(where)[:_MOST_SAID] + " " + _not_asked(asked, place, value)
                )

    def _wrong_with(self, place: _Place, value: Any) -> str:
        """Return what should stand at a place where something else does; or nothing."""
        table, key = place
        if table == "written":
            ok, should = isinstance(value, str), "a text in quotes"
        elif table == "readings":
            ok, should = _is_number(value), "a number"
            should += ", without quotes" * isinstance(value, str)
        elif table == "configuration":
            allowed = self._sheet.choices[key]
            ok = type(value) is int and value in allowed
            should = f"one of {', '.join(map(str, allowed))}"
        else:
            most = self._sheet.settings.answers.largest_seed if self._sheet.settings.answers else 0
            ok = type(value) is int and 0 <= value <= most
            should = f"a whole number from 0 to {most}"
        return "" if ok else f"{should}; it is {_shown(value)}"


def _asked(sheet: Sheet) -> list[_Place]:
    kinds = {"reading": "readings", "written": "written"}
    answers = [
        (kinds[each.kind], name) for name, each in sheet.checks.items() if each.kind in kinds
    ]
    return [("", "seed"), *(("configuration", key) for key in sheet.choices), *answers]


def _not_asked(asked: list[_Place], place: _Place, value: Any) -> str:
    tables = list(dict.fromkeys(f"[{table}]" for table, _ in asked if table))
    if f"[{place[1]}]" in tables:
        return "is a table: its answers stand below it, each in its line"
    if isinstance(value, dict) and not place[0]:
        return f"is no table that is asked; {', '.join(tables)} are"
    among = [name for table, name in asked if table == place[0]]
    return f"is not asked; {', '.join(among)} {'is' if len(among) == 1 else 'are'}"


def _is_number(value: Any) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:  # of an int with hundreds of digits
        return False


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) >= _LARGE:
        return "far too large" if value > 0 else "far below 0"
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    return shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]} ..."


def _said_of_reading(
    check: Check, found: float, record: dict[str, float], mistaken: dict[str, dict[str, float]]
) -> Said:
    if _close(check, found, record[check.name]):
        return Said("passed")
    fits = [
        id
        for id, wrong in mistaken.items()
        if check.name in wrong and _close(check, found, wrong[check.name])
    ]
    expected = _decade(record[check.name])
    another = "another number" if _decade(found) == expected else "a number"
    says = f"{check.name} is {found:.6g} here; what this seed records is {another} {expected}"
    return Said("failed", says, fits[0] if len(fits) == 1 else None)


def solved_answers(text: str) -> str:
    """Return a file of solved answers without its markers.

    Examples
    --------
    >>> solved_answers("seed = 3  # SOLUTION")
    'seed = 3'
    """
    return _SOLUTION.sub(r"\1\2", text)


def unanswered(text: str, name: str) -> str:
    """Return the file of answers that students get: what is marked as a solution is empty.

    Parameters
    ----------
    text : str
        Values of which a solution ends in ``# SOLUTION``.
    name : str
        What messages call it.

    Raises
    ------
    SourceError
        If a value is not marked, and would be given out.

    Examples
    --------
    >>> unanswered("seed = 3  # SOLUTION", "answers.toml")
    'seed = ""'
    """
    empty = _SOLUTION.sub(r'\1""', text)
    try:
        values = list(_values(tomllib.loads(empty)))
    except tomllib.TOMLDecodeError as error:
        raise SourceError(f"{name}: without its solutions it is no TOML: {error}") from None
    for key, value in values:
        if value != "":
            raise SourceError(f"{name}: {key} is given out solved; end its line in '  # SOLUTION'")
    return empty


def _values(table: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _values(value)
        else:
            yield key, value


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    """Return a file's text, and what stands in it."""
    if path.is_symlink() or not path.is_file():
        raise _UnreadableError(f"there is no {path.name}")
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise _UnreadableError(f"{path.name} is larger than {_MOST_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
        return text, tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _UnreadableError(f"{path.name}, line {line}: it is not in UTF-8") from None
    except RecursionError:
        raise _UnreadableError(f"{path.name}: values lie in one another too deep") from None
    except tomllib.TOMLDecodeError as error:
        at, says = slip(text, error)
        raise _UnreadableError(f"{path.name}, line {at}: {says}") from None
    except ValueError:  # of Python, which reads numbers up to some length
        raise _UnreadableError(f"{path.name}: a number has thousands of digits") from None


def _line_of(text: str, place: _Place) -> str:
    """Return where a key stands, if that can be told."""
    table, key = place
    header = (
        re.search(rf"^[ \t]*\[\s*{re.escape(table)}\s*\]", text, re.MULTILINE) if table else None
    )
    name = re.compile(rf"^[ \t]*(\[\s*)?[\"']?{re.escape(key)}[\"']?\s*[=\].]", re.MULTILINE)
    found = name.search(text, header.end() if header else 0)
    return f", line {text[: found.end()].count(chr(10)) + 1}" if found else ""


def _close(check: Check, found: float, expected: float) -> bool:
    return math.isclose(found, expected, rel_tol=0, abs_tol=check.atol + check.rtol * abs(expected))


def _decade(value: float) -> str:
    """Say between which powers of ten a number lies, which does not tell it."""
    if not value or not math.isfinite(value):
        return f"that is {value:g}"
    power = math.floor(math.log10(abs(value)))
    bounds = sorted(math.copysign(10.0**each, value) for each in (power, power + 1))
    return f"between {bounds[0]:g} and {bounds[1]:g}"


def _clean(text: str) -> str:
    return as_printable(text, _MOST_TOLD).strip()
