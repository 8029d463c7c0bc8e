"""What a grading says of a class and of the assignment: mistakes, checks, incidents, likeness."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any, NamedTuple

from ..results import Submission
from .grades import Grade
from .similarity import Pair

__all__ = ["ABOUT_SIMILARITY", "MOST_PAIRS", "ClassReport", "Item", "reported"]

ABOUT_SIMILARITY = (
    "Likeness proves nothing: the same short function is written alike by people who never met."
    " It says where to look, and costs no points."
)

# That people are shown.
MOST_PAIRS = 50


class Item(NamedTuple):
    """How a check did.

    Attributes
    ----------
    name, title : str
    points : int
    passed, failed, skipped, by_hand : int
        Submissions; those by hand are read by people.
    discrimination : float or None
        Correlation of passing it with the points of all other checks (point-biserial); near 0 or
        below it says nothing about who can do the rest. None where all passed, or none.
    """

    name: str
    title: str
    points: int
    passed: int
    failed: int
    skipped: int
    by_hand: int
    discrimination: float | None

    @property
    def rate(self) -> float:
        """The share that passed it."""
        return self.passed / max(1, self.passed + self.failed + self.skipped + self.by_hand)


@dataclass(frozen=True)
class ClassReport:
    """What a grading says of a class.

    Attributes
    ----------
    assignment, title : str
    submissions : sequence of Submission
    grades : sequence of Grade
    mistakes : sequence of (str, int, str)
        Ids of known mistakes, in how many submissions each is, and what is said of it; the most
        frequent first.
    items : sequence of Item
        In the order of the checks.
    pairs : sequence of Pair or None
        Submissions with much in common; None where they were not compared.
    guards : sequence of str
        What the grading machine did not keep submissions from.
    notes : sequence of str
        What is to be told of the class.
    """

    assignment: str
    title: str
    submissions: Sequence[Submission]
    grades: Sequence[Grade]
    mistakes: Sequence[tuple[str, int, str]]
    items: Sequence[Item]
    pairs: Sequence[Pair] | None = None
    guards: Sequence[str] = ()
    notes: Sequence[str] = ()

    def summary(self) -> dict[str, Any]:
        """Return it for JSON."""
        scores = [each.score for each in self.submissions]
        most = max((each.max_score for each in self.submissions), default=0)
        told = {
            "assignment": self.assignment,
            "submissions": len(scores),
            "max": most,
            "mean": round(fmean(scores), 2) if scores else None,
            "median": median(scores) if scores else None,
            "guards": list(self.guards),
            "notes": list(self.notes),
            "mistakes": [
                {"id": id, "submissions": count, "says": says} for id, count, says in self.mistakes
            ],
            "checks": [{**each._asdict(), "rate": round(each.rate, 3)} for each in self.items],
            "incidents": [
                {"id": each.id, "incident": fact}
                for each in self.submissions
                for fact in each.incidents
            ],
        }
        if self.pairs is not None:
            told["similar"] = [pair._asdict() for pair in self.pairs]
            told["about_similarity"] = ABOUT_SIMILARITY
        return told


def reported(
    assignment: str,
    title: str,
    submissions: Sequence[Submission],
    grades: Sequence[Grade],
    says: Mapping[str, str],
    *,
    pairs: Sequence[Pair] | None = None,
    guards: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> ClassReport:
    """Count what there is to be counted.

    Parameters
    ----------
    assignment, title : str
    submissions : sequence of Submission
    grades : sequence of Grade
    says : mapping of str to str
        What is said of mistakes, by their ids.
    pairs, guards, notes
        As in `ClassReport`.
    """
    counts = Counter(
        id for each in submissions for id in {c.diagnosis for c in each.checks} if id is not None
    )
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    mistakes = [(id, count, says.get(id, "")) for id, count in ordered]
    names = dict.fromkeys(check.name for each in submissions for check in each.checks)
    items = [_item(name, submissions) for name in names]
    return ClassReport(
        assignment, title, submissions, grades, mistakes, items, pairs, guards, notes
    )


def _item(name: str, submissions: Sequence[Submission]) -> Item:
    found = [(each, check) for each in submissions for check in each.checks if check.name == name]
    of = Counter(check.status for _, check in found)
    passed = [float(check.passed) for _, check in found]
    rest = [float(each.score - check.points) for each, check in found]
    sample = found[-1][1]
    by_hand = len(found) - of["passed"] - of["failed"] - of["skipped"]
    return Item(
        *(name, sample.title, sample.max_points, of["passed"], of["failed"], of["skipped"]),
        by_hand=by_hand,
        discrimination=None if by_hand else correlation(passed, rest),
    )


def correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return Pearson's correlation, or None where one of the two does not vary.

    Examples
    --------
    >>> correlation([0, 0, 1, 1], [1, 2, 3, 4])
    0.894
    >>> correlation([1, 1], [0, 5]) is None
    True
    """
    if not a:
        return None
    mean_a, mean_b = fmean(a), fmean(b)
    spread = math.sqrt(sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b))
    if not spread:
        return None
    return round(sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True)) / spread, 3)
