"""Results as a table for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from minires.classroom.classes.csv_files import safe_cell
from minires.classroom.classes.grades import Grade


def as_csv(grades: Sequence[Grade]) -> str:
    """Return a line for each person: points in all, check by check, and what lateness costs.

    What could be taken for a formula is quoted, for ids come from the names of files.

    Examples
    --------
    >>> from minires.classroom.results import GradedCheck, Submission
    >>> from minires.classroom.classes.roster import Person
    >>> check = GradedCheck("relu_values", "ReLU", "failed", 0, 2, False, diagnosis="L2")
    >>> print(as_csv([Grade(Person("=ada"), Submission("=ada", "small", (check,)))]), end="")
    id,score,max,incidents,mistakes,relu_values
    '=ada,0,2,0,L2,0
    """
    handed_in = [each.submission for each in grades if each.submission]
    names = list(dict.fromkeys(check.name for each in handed_in for check in each.checks))
    told = ["name", "email", "group", "section"]
    told = [field for field in told if any(getattr(each.shown, field) for each in grades)]
    late = ["hours_late", "points_off", "final"] if any(each.late for each in grades) else []
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["id", *told, "score", "max", *late, "incidents", "mistakes", *names])
    for each in grades:
        about = [safe_cell(getattr(each.shown, field)) for field in ("id", *told)]
        cells = [each.summary().get(name, "") for name in late]
        checks = each.submission.checks if each.submission else ()
        points = {check.name: check.points for check in checks}
        mistakes = dict.fromkeys(check.diagnosis for check in checks if check.diagnosis)
        most = each.submission.max_score if each.submission else ""
        incidents = len(each.submission.incidents) if each.submission else ""
        row = [*about, each.score, most, *cells, incidents, " ".join(mistakes)]
        rows.writerow([*row, *(points.get(name, "") for name in names)])
    return text.getvalue()
