"""Checks that can be called in a cell of a notebook, as those of nbgrader and Otter are."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from .release import handed
from .results import Submission
from .running.child import outcomes_of
from .running.processes import Answer
from .shipped import start

__all__ = ["check"]


def check(assignment: str, functions: Mapping[str, Any], *names: str) -> None:
    """Check functions that are there already, such as those of a notebook.

    They are called in this very process: what they print is printed, and nothing holds them off. It
    is meant for cells that students run themselves, and for graders that run notebooks apart.

    Parameters
    ----------
    assignment : str
        A name, as ``a2``, or the folder of an assignment.
    functions : mapping of str to function
        By their names, such as ``globals()``.
    names : str
        Of checks; by default all of those whose function is there.

    Raises
    ------
    AssertionError
        If one is not passed: what is wrong, and which known mistake it is, if it is one.
    AssignmentError
        If there is no such assignment, or no such check.

    Examples
    --------
    >>> from minires.classroom.notebook import check
    >>> def output_size(size, kernel, stride, padding):
    ...     return (size + 2 * padding - kernel) // stride + 1
    >>> check("a2", globals(), "output_size_arithmetic")
    """
    from .assignment import AssignmentError

    with tempfile.TemporaryDirectory(prefix="minires-") as place:
        folder = Path(place) / "started"
        sheet = start(assignment, folder)
        if unknown := [name for name in names if name not in sheet.checks]:
            raise AssignmentError(
                f"{sheet.name} has no check {unknown[0]!r}; there are {', '.join(sheet.checks)}"
            )
        submission = handed(folder).checked(_runner(functions))
    wanted = names or [each.name for each in sheet.checks.values() if each.function in functions]
    if wrong := _wrong(submission, wanted):
        raise AssertionError(wrong)


def _runner(functions: Mapping[str, Any]) -> Any:
    module = SimpleNamespace(**functions)

    def run(
        file: Path,
        function: str,
        calls: Sequence[tuple[Any, ...]],
        seconds: float,
        measure: Mapping[str, Any] | None = None,
    ) -> Answer:
        code = getattr(getattr(module, function, None), "__code__", None)
        where = Path(code.co_filename) if code else file
        asked = [{"function": function, "arguments": copy.deepcopy(list(call))} for call in calls]
        outcomes = []
        for outcome in outcomes_of(module, where, asked, measure):
            if outcome.get("error") == KeyboardInterrupt.__name__:  # is meant for the whole cell
                raise KeyboardInterrupt
            outcomes.append(outcome)
        return Answer(outcomes, "", "")

    return run


def _wrong(submission: Submission, names: Sequence[str]) -> str:
    """Return what is wrong, check by check; empty if nothing is."""
    told = [
        f"{each.title} ({each.name})\n{each.message}"
        for each in submission.checks
        if each.name in names and each.status in ("failed", "skipped")
    ]
    return "\n\n".join(told)
