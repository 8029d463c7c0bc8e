"""What is handed in late, and how many points that costs."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from .csv_files import TableError, read_lines

__all__ = ["Deadline", "Late", "LatePolicy", "handed_in_at", "late_policy", "moment", "read_times"]

_POLICY = re.compile(
    r"(?P<percent>\d+(\.\d+)?)\s*%\s*(/|per|a)\s*(?P<unit>day|hour)"
    r"(\s*,\s*(?P<most>\d+)\s*(?P<units>day|hour)s?)?"
)


class LatePolicy(NamedTuple):
    """How many points it costs to be late.

    Attributes
    ----------
    percent : float
        Of the assignment's points, for each day or hour that has begun.
    unit : str
        ``day`` or ``hour``.
    most : int or None
        After so many, nothing counts; None for as long as there are points.
    """

    percent: float
    unit: str
    most: int | None = None

    def points_off(self, late: timedelta, score: float, max_score: float) -> float:
        """Return what is taken off, at most the score.

        Examples
        --------
        >>> policy = late_policy("10%/day, 3 days")
        >>> [policy.points_off(timedelta(hours=hours), 8, 10) for hours in (0, 1, 25, 73)]
        [0.0, 1.0, 2.0, 8.0]
        """
        if late <= timedelta(0):
            return 0.0
        begun = math.ceil(late / timedelta(**{f"{self.unit}s": 1}))
        if self.most is not None and begun > self.most:
            return float(score)
        return round(min(float(score), begun * self.percent / 100 * max_score), 2)


class Late(NamedTuple):
    """How late a submission was.

    Attributes
    ----------
    by : timedelta
        Zero if it was in time.
    points_off : float
    """

    by: timedelta
    points_off: float


class Deadline(NamedTuple):
    """Until when work is taken, and what it costs after that.

    Attributes
    ----------
    due : datetime
    policy : LatePolicy or None
        None to take nothing off, and only say who was late.
    """

    due: datetime
    policy: LatePolicy | None = None

    def late(self, at: datetime, score: float, max_score: float, own: datetime | None) -> Late:
        """Return how late something was that was handed in `at` a moment.

        A deadline is the minute that it names, to its end.

        Parameters
        ----------
        at : datetime
        score, max_score : float
        own : datetime or None
            A deadline of somebody's own.
        """
        by = at - (own or self.due)
        if by < timedelta(minutes=1):
            by = timedelta(0)
        off = self.policy.points_off(by, score, max_score) if self.policy else 0.0
        return Late(by, off)


def late_policy(text: str) -> LatePolicy:
    """Read a policy such as ``10%/day, 3 days``, ``1%/hour`` or ``20% per day``.

    Raises
    ------
    ValueError
        If it is none.

    Examples
    --------
    >>> late_policy("10%/day, 3 days")
    LatePolicy(percent=10.0, unit='day', most=3)
    """
    found = _POLICY.fullmatch(text.strip().lower())
    if not found or found["units"] not in (None, found["unit"]):
        raise ValueError(f"{text!r} is no late policy; write one like '10%/day, 3 days'")
    most = int(found["most"]) if found["most"] else None
    return LatePolicy(float(found["percent"]), found["unit"], most)


def moment(text: str) -> datetime:
    """Read a date and time with its offset from UTC, such as ``2026-11-30T23:59+01:00``.

    Raises
    ------
    ValueError
        If it is none, or says no offset.

    Examples
    --------
    >>> moment("2026-11-30T23:59+01:00").astimezone(UTC).hour
    22
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(
            f"{text!r} is no date and time; write one like 2026-11-30T23:59+01:00"
        ) from None
    if ":" not in text:
        raise ValueError(f"{text!r} has no time of day; write one like 2026-11-30T23:59+01:00")
    if found.tzinfo is None:
        raise ValueError(f"{text!r} has no offset from UTC; write {text.strip()}+00:00 or another")
    return found


def read_times(path: Path) -> dict[str, datetime]:
    """Read when submissions were handed in from a CSV file with the columns id and time.

    Where an id stands twice, the later time counts.

    Raises
    ------
    TableError
        With the line's number.
    """
    times: dict[str, datetime] = {}
    for line in read_lines(path, ("id", "time")):
        try:
            at = moment(line.cells["time"])
        except ValueError as error:
            raise TableError(f"{line.where}: {error}") from None
        id = line.cells["id"]
        times[id] = max(at, times.get(id, at))
    return times


def handed_in_at(path: Path) -> datetime:
    """Return when a file, or the last file in a folder, was changed."""
    files = [path, *path.rglob("*")] if path.is_dir() and not path.is_symlink() else [path]
    plain = [each for each in files if each.is_file() or each == path]
    inside = [each for each in plain if each != path] or [path]
    return datetime.fromtimestamp(max(each.lstat().st_mtime for each in inside), UTC)
