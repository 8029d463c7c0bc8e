"""Who gets how many points: submissions, brought together with a class and a deadline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..results import Submission
from .lateness import Deadline, Late
from .roster import Person

__all__ = ["Grade", "grades_of"]


@dataclass(frozen=True)
class Grade:
    """What somebody gets.

    Attributes
    ----------
    person : Person
    submission : Submission or None
        None if nothing was handed in.
    late : Late or None
        None where there is no deadline.
    pseudonym : Person or None
        Who that is where they go by pseudonyms: everywhere but in a gradebook.
    """

    person: Person
    submission: Submission | None
    late: Late | None = None
    pseudonym: Person | None = None

    @property
    def shown(self) -> Person:
        """Who it is, as far as it may be told."""
        return self.pseudonym or self.person

    @property
    def score(self) -> int:
        """The points of what was handed in, whenever that was."""
        return self.submission.score if self.submission else 0

    @property
    def final(self) -> float:
        """The points without what lateness costs."""
        return round(self.score - (self.late.points_off if self.late else 0), 2)

    def summary(self) -> dict[str, Any]:
        """Return it for JSON."""
        told: dict[str, Any] = {
            "id": self.shown.id,
            "name": self.shown.name,
            "group": self.shown.group,
            "section": self.shown.section,
            "submission": self.submission.id if self.submission else None,
            "score": self.score,
        }
        if self.late:
            hours = round(self.late.by.total_seconds() / 3600, 2)
            told |= {"hours_late": hours, "points_off": self.late.points_off}
        return {**told, "final": self.final}


def grades_of(
    submissions: Sequence[Submission],
    roster: Mapping[str, Person] | None = None,
    deadline: Deadline | None = None,
    times: Mapping[str, datetime] | None = None,
    name_of: Callable[[str], str] = str,
) -> tuple[list[Grade], list[str]]:
    """Give everybody the points of their submission, or of their group's later one.

    Parameters
    ----------
    submissions : sequence of Submission
    roster : mapping of str to Person, optional
        By ids. Without it everything that was handed in is somebody's own.
    deadline : Deadline, optional
    times : mapping of str to datetime, optional
        When submissions were handed in, by their ids; needed for a deadline and for groups.
    name_of : callable
        From an id to what submissions are called, where they go by pseudonyms.

    Returns
    -------
    list of Grade
    list of str
        What is to be told: who handed in nothing, submissions of nobody, two of one group.
    """
    times = times or {}
    by_id = {each.id: each for each in submissions}
    if roster is None:
        alone = [Person(id) for id in by_id]
        return [_grade(each, by_id[each.id], deadline, times) for each in alone], []
    grades, notes = [], []
    counted: set[str] = set()
    members: dict[str, list[str]] = {}
    for person in roster.values():
        if person.group:
            members.setdefault(person.group, []).append(person.id)
    for person in roster.values():
        ids = [*members[person.group], person.group] if person.group else [person.id]
        theirs = [by_id[name] for id in ids if (name := name_of(id)) in by_id]
        theirs.sort(key=lambda each: times[each.id].timestamp() if each.id in times else 0.0)
        pseudonym = None
        if name_of is not str:
            pseudonym = Person(name_of(person.id), group=person.group and name_of(person.group))
        shown = pseudonym or person
        if not theirs:
            notes.append(f"{shown.id} has handed in nothing")
        elif len(theirs) > 1 and theirs[0].id not in counted:
            others = ", ".join(each.id for each in theirs[:-1])
            notes.append(
                f"the group {shown.group} has handed in more than once: {theirs[-1].id}, the last,"
                f" counts, and {others} does not"
            )
        counted.update(each.id for each in theirs)
        grades.append(_grade(person, theirs[-1] if theirs else None, deadline, times, pseudonym))
    notes += [f"{id} is nobody in the roster" for id in by_id if id not in counted]
    return grades, notes


def _grade(
    person: Person,
    submission: Submission | None,
    deadline: Deadline | None,
    times: Mapping[str, datetime],
    pseudonym: Person | None = None,
) -> Grade:
    if submission is None or deadline is None:
        return Grade(person, submission, pseudonym=pseudonym)
    late = deadline.late(
        times[submission.id], submission.score, submission.max_score, own=person.due
    )
    return Grade(person, submission, late, pseudonym)
