"""Results as a table for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from minires.classroom.results import Submission


def as_csv(submissions: Sequence[Submission]) -> str:
    """Return a line for each submission: its points in all, and check by check.

    What could be taken for a formula is quoted, for ids come from the names of files.

    Examples
    --------
    >>> from minires.classroom.results import GradedCheck
    >>> check = GradedCheck("relu_values", "ReLU", "failed", 0, 2, False, diagnosis="L2")
    >>> print(as_csv([Submission("=ada", "small", (check,))]), end="")
    id,score,max,incidents,mistakes,relu_values
    '=ada,0,2,0,L2,0
    """
    names = list(dict.fromkeys(check.name for each in submissions for check in each.checks))
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["id", "score", "max", "incidents", "mistakes", *names])
    for each in submissions:
        points = {check.name: check.points for check in each.checks}
        mistakes = dict.fromkeys(c.diagnosis for c in each.checks if c.diagnosis)
        counts = [each.score, each.max_score, len(each.incidents), " ".join(mistakes)]
        rows.writerow([_safe(each.id), *counts, *(points.get(name, "") for name in names)])
    return text.getvalue()


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
