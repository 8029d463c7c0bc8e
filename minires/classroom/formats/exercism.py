"""Exercism's results.json, version 3 (exercism/docs, "The Test Runner Interface")."""

from __future__ import annotations

from typing import Any

from minires.classroom.results import GradedCheck, Submission

_MOST_OUTPUT = 500


def as_exercism(submission: Submission) -> dict[str, Any]:
    """Return what belongs into ``results.json``.

    Hidden checks tell their status alone: what is printed in one may be what it is called with.

    Examples
    --------
    >>> check = GradedCheck("relu_values", "ReLU", "passed", 2, 2, False, output="x" * 600)
    >>> told = as_exercism(Submission("ada", "small", (check,)))
    >>> told["version"], told["status"], len(told["tests"][0]["output"])
    (3, 'pass', 500)
    """
    return {
        "version": 3,
        "status": "pass" if all(check.passed for check in submission.checks) else "fail",
        "message": None,
        "tests": [_test(number, each) for number, each in enumerate(submission.checks, 1)],
    }


def _test(number: int, check: GradedCheck) -> dict[str, Any]:
    output = "" if check.hidden else check.output
    if len(output) > _MOST_OUTPUT:
        output = f"{output[: _MOST_OUTPUT - 1]}…"
    return {
        "name": check.title,
        "status": "pass" if check.passed else "fail",
        "message": None if check.passed or check.hidden else check.message,
        "output": output or None,
        "test_code": check.name,
        "task_id": number,
    }
