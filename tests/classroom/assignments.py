"""What tests of assignments share: a runner that starts no process, what is said of files."""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import minires.classroom
from minires.classroom.assignment import Assignment
from minires.classroom.judging import CheckResult, judged, prepared
from minires.classroom.running import child
from minires.classroom.running.processes import Answer, Runner


class _Deadline(BaseException):
    """A call takes too long."""


@contextlib.contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    def give_up(*_: Any) -> None:
        raise _Deadline

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run_here(
    file: Path, function: str, calls: Sequence[tuple[Any, ...]], seconds: float, **also: Any
) -> Answer:
    """Do in this process what `child` does in one of its own, which costs its start each time."""
    if not hasattr(signal, "SIGALRM"):
        pytest.skip("deadlines in this process need SIGALRM")
    asked = [{"function": function, "arguments": list(copy.deepcopy(call))} for call in calls]
    modules = dict(sys.modules)
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), _deadline(min(seconds, 0.5)):
            outcomes = list(child._outcomes(file, asked, **also))
    finally:
        sys.modules.clear()
        sys.modules.update(modules)
    if any(outcome.get("error") == "_Deadline" for outcome in outcomes):
        return Answer([], "", "time")
    return Answer(outcomes, said.getvalue(), "")


class Classroom:
    """An assignment of the package, and what is said of files to it."""

    def __init__(self, name: str) -> None:
        self.assignment = Assignment(Path(minires.classroom.__file__).parent / "assignments" / name)

    @functools.cached_property
    def text(self) -> str:
        """The solved file, of an assignment that has one."""
        [text] = self.assignment.solution.values()
        return text

    @functools.cache  # noqa: B019  (there is one for each assignment)
    def _cases(self, runner: Runner) -> Any:
        return prepared(self.assignment, 7, runner)

    def files(self, kind: str) -> list[Path]:
        """Return the files of a kind: right, second or two."""
        return sorted((self.assignment.folder / kind).glob("*.py"))

    def results(self, file: Path, runner: Runner = run_here) -> list[CheckResult]:
        """Return what is said of a file, check by check."""
        with tempfile.TemporaryDirectory() as place:
            shutil.copyfile(file, Path(place, self.assignment.files[0]))
            return judged(self.assignment, Path(place), self._cases(runner), runner)
