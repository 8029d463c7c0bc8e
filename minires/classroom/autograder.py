"""What Gradescope runs: grades the one submission there is, and always leaves a result."""

from __future__ import annotations

import json
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

from minires.serialize.atomic import atomic_write

from .bundle import opened
from .formats import as_gradescope
from .grading import grade

__all__ = ["autograde"]

_FAILED = "The grader failed. That is no fault of yours: tell those who teach."


def autograde(root: Path) -> int:
    """Grade ``submission/`` by ``source/bundle/``, into ``results/results.json``.

    What goes to stdout is for those who teach.

    Parameters
    ----------
    root : Path
        ``/autograder``, where Gradescope runs it.

    Returns
    -------
    int
        0, or 1 where grading failed: then the result says so, and has no points.
    """
    results = root / "results"
    results.mkdir(exist_ok=True)
    try:
        told, code = _graded(root), 0
    except Exception:  # whatever it is, it is not the student's
        traceback.print_exc(file=sys.stdout)
        told, code = {"score": 0, "output": _FAILED}, 1
    with atomic_write(results / "results.json", "w") as file:
        file.write(json.dumps(told, indent=1, allow_nan=False) + "\n")
    return code


def _graded(root: Path) -> dict[str, Any]:
    from .running.isolation import missing_guards, run_isolated, trying_twice

    sys.stdout.writelines(f"{missing}\n" for missing in missing_guards())
    metadata = _metadata(root / "submission_metadata.json")
    with (
        opened(str(root / "source" / "bundle")) as assignment,
        tempfile.TemporaryDirectory(prefix="minires-") as place,
    ):
        runner = trying_twice(run_isolated)
        [submission] = grade(assignment, [root / "submission"], Path(place), runner)
        most = _number(metadata.get("assignment", {}), "total_points")
        if most is not None and most != assignment.points:
            sys.stdout.write(
                f"Gradescope has {most:g} points for it, and the assignment {assignment.points}\n"
            )
    told = as_gradescope(submission)
    told["extra_data"] = {"submission": metadata.get("id")}
    return told


def _metadata(path: Path) -> dict[str, Any]:
    """Return what Gradescope tells of a submission, as far as it can be read."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(told, dict):
        return {}
    about = told.get("assignment")
    return {**told, "assignment": about if isinstance(about, dict) else {}}


def _number(told: dict[str, Any], name: str) -> float | None:
    try:
        return float(told[name])  # a number, or text
    except (KeyError, TypeError, ValueError):
        return None


if __name__ == "__main__":
    sys.exit(autograde(Path(sys.argv[1])))
