"""Checks that can be called in a cell of a notebook, as those of nbgrader and Otter are."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from .release import handed
from .results import Submission
from .running.child import outcomes_of
from .running.processes import Answer
from .shipped import start

if TYPE_CHECKING:
    from .assignment import Sheet

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
        Of checks, or of functions, for all checks of these; by default all of the assignment.

    Raises
    ------
    AssertionError
        If one is not passed: what is wrong, and which known mistake it is, if it is one; or if a
        function that is to be checked is not there.
    AssignmentError
        If there is no such assignment, or no such check or function in it.

    Examples
    --------
    >>> from minires.classroom.notebook import check
    >>> def output_size(size, kernel, stride, padding):
    ...     return (size + 2 * padding - kernel) // stride + 1
    >>> check("a2", globals(), "output_size_arithmetic")
    """
    with tempfile.TemporaryDirectory(prefix="minires-") as place:
        folder = Path(place) / "started"
        sheet = start(assignment, folder)
        wanted = _wanted(sheet, names)
        absent = _absent(sheet, wanted, functions)
        submission = handed(folder).checked(_runner(functions))
    there = [name for name in wanted if not _absent(sheet, [name], functions)]
    if wrong := [*absent, *_wrong(submission, there)]:
        raise AssertionError("\n\n".join(wrong))


def _wanted(sheet: Sheet, names: Sequence[str]) -> list[str]:
    """Return the names of the checks that are asked for."""
    from .assignment import AssignmentError

    checks = {name: each for name, each in sheet.checks.items() if each.kind == "calls"}
    if not names:
        return list(checks)
    wanted: list[str] = []
    for name in names:
        of_function = [each.name for each in checks.values() if each.function == name]
        if name not in checks and not of_function:
            raise AssignmentError(
                f"{sheet.name} has no check or function {name!r}; there are the checks"
                f" {', '.join(checks)}, of the functions"
                f" {', '.join(sheet.functions)}"
            )
        wanted += [name] if name in checks else of_function
    return wanted


def _absent(sheet: Sheet, wanted: Sequence[str], functions: Mapping[str, Any]) -> list[str]:
    """Say which functions are not there, of those that checks and what they need are of."""
    called: dict[str, None] = {}
    waiting = list(wanted)
    while waiting:
        check = sheet.checks[waiting.pop(0)]
        waiting += check.needs
        if check.function:
            called[check.function] = None
    others = [name for name in functions if name not in sheet.functions]
    said = []
    for name in called:
        if name not in functions:
            meant = get_close_matches(name, others, n=1, cutoff=0.8)
            said.append(f"there is no function {name}" + "".join(f"; is it {m}?" for m in meant))
    return said


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


def _wrong(submission: Submission, names: Sequence[str]) -> list[str]:
    """Return what is wrong, check by check."""
    return [
        f"{each.title} ({each.name})\n{each.message}"
        for each in submission.checks
        if each.name in names and each.status in ("failed", "skipped")
    ]
