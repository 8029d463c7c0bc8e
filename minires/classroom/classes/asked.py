"""How grading was asked for: whose work it is, until when, and under which names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from ..assignment import Assignment, AssignmentError
from ..bundle import opened
from ..grading import Record, read_record, recorded_submissions
from ..results import Submission
from ..submitted import id_of, submissions_in, texts_of
from .class_report import ClassReport, reported
from .csv_files import TableError
from .grades import grades_of
from .lateness import Deadline, handed_in_at, late_policy, moment, read_times
from .marks import UNREAD, with_marks
from .pseudonyms import pseudonym_key, pseudonym_of
from .roster import Person, read_roster
from .similarity import Pair, similar_pairs

__all__ = ["Asked", "ClassList", "asked_for", "class_report_of", "reported_again"]


@dataclass(frozen=True)
class Asked:
    """What was asked for; kept with the results, to do it again.

    Attributes
    ----------
    folder : str
        Of what was handed in.
    assignment : str
        A name, or a path.
    roster, submitted : str or None
        Files of who is in the class, and of when work was handed in.
    due, late : str or None
        A moment, and what it costs to be late.
    anonymous : bool
    """

    folder: str
    assignment: str
    roster: str | None = None
    submitted: str | None = None
    due: str | None = None
    late: str | None = None
    anonymous: bool = False

    def for_record(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)

    def class_list(self, out: Path) -> ClassList:
        """Read what it names, before anything is graded.

        Raises
        ------
        TableError
            If a file cannot be used.
        ValueError
            If the deadline or what lateness costs cannot be read.
        """
        if self.late and not self.due:
            raise ValueError("--late needs --due: late is what comes after that")
        policy = late_policy(self.late) if self.late else None
        return ClassList(
            roster=read_roster(Path(self.roster)) if self.roster else None,
            times=read_times(Path(self.submitted)) if self.submitted else None,
            deadline=Deadline(moment(self.due), policy) if self.due else None,
            name_of=partial(pseudonym_of, key=pseudonym_key(out)) if self.anonymous else str,
        )


@dataclass(frozen=True)
class ClassList:
    """Whose work it is, until when, and under which names.

    Attributes
    ----------
    roster : dict of str to Person or None
    times : dict of str to datetime or None
        When work was handed in, by what submissions are called.
    deadline : Deadline or None
    name_of : callable
        From what a submission is called to the id of its results.
    """

    roster: dict[str, Person] | None
    times: dict[str, datetime] | None
    deadline: Deadline | None
    name_of: Callable[[str], str]

    @property
    def asks_for_times(self) -> bool:
        """Whether it matters when work was handed in."""
        return bool(self.deadline or any(each.group for each in (self.roster or {}).values()))

    def times_of(self, paths: Sequence[Path]) -> tuple[dict[str, datetime], list[str]]:
        """Return when submissions were handed in, by their ids, and from where that is known."""
        if self.times is not None:
            absent = [id_of(path) for path in paths if id_of(path) not in self.times]
            if absent:
                raise TableError(f"--submitted has no time of {absent[0]!r}")
            found = {self.name_of(id): at for id, at in self.times.items()}
            return found, ["times are those of the file that --submitted names"]
        found = {self.name_of(id_of(path)): handed_in_at(path) for path in paths}
        return found, ["times are when the files were last changed; --submitted names better ones"]


def class_report_of(
    record: Record,
    submissions: Sequence[Submission],
    people: ClassList,
    paths: Sequence[Path],
    assignment: Assignment | None,
) -> ClassReport:
    """Bring results together with the class that they are of.

    Parameters
    ----------
    record : Record
    submissions : sequence of Submission
    people : ClassList
    paths : sequence of Path
        What was handed in, as far as it is still there.
    assignment : Assignment or None
        Without it submissions are not compared with each other.
    """
    times: dict[str, datetime] = {}
    notes: list[str] = []
    there = {each.id for each in submissions}
    paths = [path for path in paths if people.name_of(id_of(path)) in there]
    if people.asks_for_times:
        times, notes = people.times_of(paths)
        if missing := [id for id in there if id not in times]:
            raise AssignmentError(
                f"what was handed in is gone, and with it when that was: {sorted(missing)[0]}"
            )
    grades, told = grades_of(submissions, people.roster, people.deadline, times, people.name_of)
    if people.name_of is not str:  # the order of the roster would tell who is who
        grades.sort(key=lambda each: each.shown.id)
        told.sort()
    return reported(
        record.assignment,
        record.title,
        submissions,
        grades,
        record.says,
        pairs=_pairs(assignment, people, paths) if assignment else None,
        guards=record.guards,
        notes=[*notes, *told, *_unread(submissions)],
    )


def _unread(submissions: Sequence[Submission]) -> list[str]:
    count = sum(check.status == UNREAD for each in submissions for check in each.checks)
    if not count:
        return []
    return [f"texts that wait for points, which people give with --marks: {count}"]


def _pairs(assignment: Assignment, people: ClassList, paths: Sequence[Path]) -> list[Pair]:
    texts = {people.name_of(id_of(path)): texts_of(path, assignment.files) for path in paths}
    return similar_pairs(texts, list(assignment.starter().values()))


def asked_for(record: Record, out: Path) -> Asked:
    """Return how the grading of a folder of results was asked for."""
    if not record.asked:
        raise AssignmentError(f"'{out}' does not say what was graded: minires class grade does")
    return Asked(**record.asked)


def reported_again(out: Path) -> ClassReport:
    """Return the report of a folder of results, with what was handed in if it is still there.

    Raises
    ------
    AssignmentError
        If it is none; if it needs to know when work was handed in, and that is gone.
    TableError
        If the roster or another file cannot be used any more.
    """
    record = read_record(out)
    asked = asked_for(record, out)
    people, submissions = asked.class_list(out), with_marks(out, recorded_submissions(out))
    try:
        paths = submissions_in(Path(asked.folder), but=out)
    except AssignmentError:
        return class_report_of(record, submissions, people, [], None)
    there = {people.name_of(id_of(path)) for path in paths}
    submissions = [each for each in submissions if each.id in there]
    try:
        with opened(asked.assignment) as assignment:
            return class_report_of(record, submissions, people, paths, assignment)
    except AssignmentError:
        return class_report_of(record, submissions, people, paths, None)
