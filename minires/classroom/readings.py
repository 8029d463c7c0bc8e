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
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from .running.printable import as_printable
from .source import SourceError

if TYPE_CHECKING:
    from .assignment import Check, Sheet

__all__ = ["Answered", "Said", "solved_answers", "unanswered"]

# Of a file of answers, and of a text in it as it is told.
_MOST_BYTES = 2**14
_MOST_TOLD = 2_000
_SOLUTION = re.compile(r'^(\w+ = )("""[\s\S]*?"""|[^\n]*?)  # SOLUTION$', re.MULTILINE)


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


_Small = Annotated[int, Field(ge=0, le=2**31)]


class _Answers(BaseModel):
    """What may stand in the file; what is empty is left out before."""

    model_config = ConfigDict(extra="forbid", strict=True)
    seed: _Small | None = None
    configuration: dict[str, _Small] = {}
    readings: dict[str, FiniteFloat] = {}
    written: dict[str, str] = {}


class _AnswersError(ValueError):
    """Answers that cannot be read; says why, for the student."""


class Answered:
    """The answers of a submission, read once, before any code of it runs.

    Parameters
    ----------
    sheet : Sheet
        Of an assignment with ``[answers]``.
    folder : Path
        Of the submission. Of all that lies in it, only the file of answers is looked at.
    """

    def __init__(self, sheet: Sheet, folder: Path) -> None:
        self._sheet = sheet
        self._wrong, self._answers = "", _Answers()
        try:
            self._answers = _read(sheet, folder / sheet.file_of(""))
        except _AnswersError as error:
            self._wrong = str(error)

    def said_of(self, check: Check) -> Said:
        """Return what is said of the answer that a check is of."""
        if self._wrong:
            return Said("failed", self._wrong)
        if check.kind == "written":
            text = _clean(self._answers.written.get(check.name, ""))
            if not text:
                return Said("failed", f"{check.name} is yours to write")
            return Said("unread", text[:_MOST_TOLD])
        if check.name not in self._answers.readings:
            return Said("failed", f"{check.name} is yours to read")
        seed, chosen = self._answers.seed, self._answers.configuration
        missing = [key for key in self._sheet.choices if key not in chosen]
        if seed is None or missing:
            says = f"{'seed' if seed is None else missing[0]} is yours to choose, before you read"
            return Said("failed", says)
        return self._said_of_reading(check, seed, chosen, self._answers.readings[check.name])

    def _said_of_reading(
        self, check: Check, seed: int, chosen: dict[str, int], found: float
    ) -> Said:
        record, mistaken = self._sheet.recorded(seed, chosen)
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


def _read(sheet: Sheet, path: Path) -> _Answers:
    if path.is_symlink() or not path.is_file():
        raise _AnswersError(f"there is no {path.name}")
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise _AnswersError(f"{path.name} is larger than {_MOST_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
        found = _filled_in(tomllib.loads(text))
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _AnswersError(f"{path.name}, line {line}: it is not in UTF-8") from None
    except RecursionError:
        raise _AnswersError(f"{path.name}: values lie in one another too deep") from None
    except ValueError as error:
        raise _AnswersError(f"{path.name} cannot be read: {_clean(str(error))[:200]}") from None
    try:
        answers = _Answers.model_validate(found)
        _refuse_unknown(sheet, answers)
    except ValidationError as error:
        first = error.errors()[0]
        where = [str(part) for part in first["loc"]]
        says = f"{'.'.join(where)}: {first['msg'].lower()}"
    except _AnswersError as error:
        says = str(error)
        where = says.split(" ")[0].split(".")
    else:
        return answers
    told = f"{path.name}{_line_of(text, where[-1])}: {says}"
    raise _AnswersError(_clean(told)[:400])


def _filled_in(table: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is empty, as it is given out."""
    return {
        key: _filled_in(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value != ""
    }


def _refuse_unknown(sheet: Sheet, answers: _Answers) -> None:
    most = sheet.settings.answers.largest_seed if sheet.settings.answers else 0
    if answers.seed is not None and answers.seed > most:
        raise _AnswersError(f"seed should be at most {most}; it is {answers.seed:.6g}")
    for key, value in answers.configuration.items():
        allowed = sheet.choices.get(key)
        if allowed is None:
            raise _AnswersError(f"{key} cannot be chosen; {', '.join(sheet.choices)} can")
        if value not in allowed:
            among = ", ".join(map(str, allowed))
            raise _AnswersError(f"{key} should be one of {among}; it is {value:.6g}")
    for kind, given in (("reading", answers.readings), ("written", answers.written)):
        known = [name for name, check in sheet.checks.items() if check.kind == kind]
        for key in given:
            if key not in known:
                raise _AnswersError(f"{key} is not asked; {', '.join(known)} are")


def _line_of(text: str, key: str) -> str:
    """Return where a key stands, if that can be told."""
    found = re.search(rf"^\s*(\[\s*)?{re.escape(key)}\s*[=\]]", text, re.MULTILINE)
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
