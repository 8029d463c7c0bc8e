"""Classroom 50's result.json, schema classroom50/result/v1."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from minires.classroom.results import GradedCheck, Submission

# What the service tells of a submission, in variables of the environment.
_TOLD = {
    "classroom": "CLASSROOM",
    "assignment": "ASSIGNMENT",
    "submission": "SUBMISSION_TAG",
    "commit": "COMMIT_URL",
    "release": "RELEASE_URL",
    "review": "REVIEW_URL",
}


def as_classroom50(
    submission: Submission, environment: Mapping[str, str], now: datetime | None = None
) -> dict[str, Any]:
    """Return what belongs into ``result.json``.

    Hidden checks tell their status alone.

    Parameters
    ----------
    submission : Submission
    environment : mapping
        The service's, as `os.environ`; without a review its commit is linked.
    now : datetime, optional

    Raises
    ------
    ValueError
        If the service has not said which submission it is.

    Examples
    --------
    >>> told = {name: "x" for name in _TOLD.values()}
    >>> check = GradedCheck("relu_values", "ReLU", "passed", 2, 2, False)
    >>> result = as_classroom50(Submission("ada", "small", (check,)), told)
    >>> result["schema"], result["score"], result["max-score"]
    ('classroom50/result/v1', 2, 2)
    """
    require_service(environment)
    told = {**environment, "REVIEW_URL": environment.get("REVIEW_URL") or environment["COMMIT_URL"]}
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    return {
        "schema": "classroom50/result/v1",
        **{key: told[name] for key, name in _TOLD.items()},
        "datetime": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "score": submission.score,
        "max-score": submission.max_score,
        "tests": [_test(each) for each in submission.checks],
    }


def require_service(environment: Mapping[str, str], submissions: int = 1) -> None:
    """Raise a ValueError if the service has not said which submission it is, or it is not one."""
    asked = [name for name in _TOLD.values() if name != "REVIEW_URL"]
    if missing := [name for name in asked if not environment.get(name)]:
        raise ValueError(
            f"classroom50: the environment lacks {', '.join(missing)}, which the service sets"
        )
    if submissions != 1:
        raise ValueError(
            f"classroom50: its variables are of one submission, and there are {submissions}"
        )


def _test(check: GradedCheck) -> dict[str, Any]:
    return {
        "test-name": check.title,
        "passed": check.passed,
        "score": check.points,
        "max-score": check.max_points,
        "diagnosis": None if check.hidden else check.diagnosis,
        "message": "" if check.hidden else check.message,
    }
