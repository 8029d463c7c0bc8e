"""What the tests of assignments share: a runner that starts no process."""

from __future__ import annotations

import contextlib
import copy
import io
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from minires.classroom import child
from minires.classroom.processes import Answer, Runner


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


def _run_here(
    file: Path, function: str, calls: Sequence[tuple[Any, ...]], seconds: float
) -> Answer:
    """Do in this process what `child` does in one of its own, which costs its start each time."""
    asked = [{"function": function, "arguments": list(copy.deepcopy(call))} for call in calls]
    modules = dict(sys.modules)
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), _deadline(min(seconds, 0.5)):
            outcomes = list(child._outcomes(file, asked))
    finally:
        sys.modules.clear()
        sys.modules.update(modules)
    if any(outcome.get("error") == "_Deadline" for outcome in outcomes):
        return Answer([], "", "time")
    return Answer(outcomes, said.getvalue(), "")


@pytest.fixture(scope="session")
def run_here() -> Runner:
    if not hasattr(signal, "SIGALRM"):
        pytest.skip("deadlines in this process need SIGALRM")
    return _run_here
