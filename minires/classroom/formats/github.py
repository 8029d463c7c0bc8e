"""What GitHub Classroom's reporter reads: JSON in base64, in a step's output."""

from __future__ import annotations

import base64
import json
from typing import Any

from minires.classroom.results import GradedCheck, Submission


def as_github(submission: Submission) -> str:
    """Return the value of an output ``result``, for the reporter's ``<RUNNER>_RESULTS``.

    Hidden checks tell their status alone.

    Examples
    --------
    >>> check = GradedCheck("relu_values", "ReLU", "failed", 0, 2, False, "y differs")
    >>> told = json.loads(base64.b64decode(as_github(Submission("ada", "small", (check,)))))
    >>> told["status"], told["max_score"], told["tests"][0]["message"]
    ('fail', 2, 'y differs')
    """
    told = {
        "version": 3,
        "status": "pass" if all(check.passed for check in submission.checks) else "fail",
        "max_score": submission.max_score,
        "tests": [_test(number, each) for number, each in enumerate(submission.checks, 1)],
    }
    return base64.b64encode(json.dumps(told).encode()).decode()


def _test(number: int, check: GradedCheck) -> dict[str, Any]:
    told = {
        "name": check.title,
        "status": "pass" if check.passed else "fail",
        "task_id": number,
        "score": float(check.points),
    }
    if check.message and not check.hidden:
        told["message"] = check.message
    if check.output and not check.hidden:
        told["output"] = check.output
    return told
