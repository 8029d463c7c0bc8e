"""Gradescope's results.json (Gradescope documentation, "Autograder Specifications")."""

from __future__ import annotations

from typing import Any

from minires.classroom.results import GradedCheck, Submission


def as_gradescope(submission: Submission) -> dict[str, Any]:
    """Return what belongs into ``/autograder/results/results.json``.

    Hidden checks are shown once grades are published: Gradescope hides a student's total for as
    long as any test is hidden from them for ever.

    Parameters
    ----------
    submission : Submission

    Returns
    -------
    dict
        For JSON.

    Examples
    --------
    >>> check = GradedCheck("relu_values", "ReLU keeps what is above 0", "passed", 2, 2, False)
    >>> told = as_gradescope(Submission("ada", "small", (check,)))
    >>> told["score"], told["tests"][0]["status"], told["tests"][0]["number"]
    (2, 'passed', '1')
    """
    return {
        "score": submission.score,
        "execution_time": round(submission.seconds, 3),
        "output": "\n".join(submission.incidents),
        "output_format": "text",
        "stdout_visibility": "hidden",
        "tests": [_test(number, each) for number, each in enumerate(submission.checks, 1)],
    }


def _test(number: int, check: GradedCheck) -> dict[str, Any]:
    told = {
        "name": check.title,
        "name_format": "text",
        "number": str(number),
        "score": check.points,
        "max_score": check.max_points,
        "output": check.message,
        "output_format": "text",
        "visibility": "after_published" if check.hidden else "visible",
        "tags": [check.diagnosis] if check.diagnosis else [],
        "extra_data": {"check": check.name, "diagnosis": check.diagnosis},
    }
    if check.status in ("passed", "failed", "skipped"):  # else people give points, and it is theirs
        told["status"] = "passed" if check.passed else "failed"
    return told
