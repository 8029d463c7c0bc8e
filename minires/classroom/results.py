"""What is said of a submission: once, for every format that it is written in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .assignment import Sheet
from .comparing.explaining import HeatMapLines
from .judging import CheckResult

__all__ = ["GradedCheck", "Submission", "graded"]


@dataclass(frozen=True)
class GradedCheck:
    """A check of a submission, with its points.

    Attributes
    ----------
    name, title : str
    status : str
        ``passed``, ``failed``, ``skipped`` or, of a text that a human has to read, ``unread``; with
        the points that it was given, ``read``.
    points, max_points : int
    hidden : bool
    message : str
        For the student; empty if it is passed. Of a text that is to be read, the text.
    diagnosis : str or None
        The id of the mistake that it was.
    output : str
        What the student's code printed.
    heat_map : list of lines
        Where the first wrong array is wrong, in characters: lines of ``[text, kind]``.
    """

    name: str
    title: str
    status: str
    points: int
    max_points: int
    hidden: bool
    message: str = ""
    diagnosis: str | None = None
    output: str = ""
    heat_map: HeatMapLines = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether it has its points, all of them if a human gave some."""
        return self.status == "passed" or (self.status == "read" and self.points == self.max_points)


@dataclass(frozen=True)
class Submission:
    """A submission that is graded.

    Attributes
    ----------
    id : str
    assignment : str
    checks : tuple of GradedCheck
    incidents : tuple of str
        What no honest solution does.
    seconds : float
        That grading took.
    """

    id: str
    assignment: str
    checks: tuple[GradedCheck, ...]
    incidents: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def score(self) -> int:
        """The points of what was passed."""
        return sum(check.points for check in self.checks)

    @property
    def max_score(self) -> int:
        """The points that could be had."""
        return sum(check.max_points for check in self.checks)

    def summary(self) -> dict[str, Any]:
        """Return who has how many points and why, for JSON."""
        told = [
            {"name": each.name, "passed": each.passed, "diagnosis": each.diagnosis}
            for each in self.checks
        ]
        return {
            "id": self.id,
            "score": self.score,
            "max": self.max_score,
            "incidents": list(self.incidents),
            "checks": told,
        }


def graded(
    sheet: Sheet,
    results: Sequence[CheckResult],
    explanations: Mapping[str, str],
    id: str,
    incidents: Sequence[str] = (),
    seconds: float = 0.0,
) -> Submission:
    """Give points for what was passed; the explanation of a mistake goes before the numbers.

    Parameters
    ----------
    sheet : Sheet
    results : sequence of CheckResult
    explanations : mapping of str to str
        What is said of a mistake, by its id.
    id : str
        Of the submission.
    incidents : sequence of str
    seconds : float
    """
    checks = []
    for result in results:
        check = sheet.checks[result.name]
        passed = result.status == "passed"
        told = result.explanation
        parts = [explanations.get(result.mistake or "", ""), result.says]
        if result.mistake is None:
            parts += told.observed
        if result.deviates:
            parts.append(f"The first intermediate that differs is {result.deviates}.")
        parts += told.steps
        checks.append(
            GradedCheck(
                name=check.name,
                title=check.title,
                status=result.status,
                points=check.points if passed else 0,
                max_points=check.points,
                hidden=check.hidden,
                message="\n".join(part for part in parts if part),
                diagnosis=result.mistake,
                output=result.printed,
                heat_map=told.heat_map,
            )
        )
    return Submission(id, sheet.name, tuple(checks), tuple(incidents), seconds)
