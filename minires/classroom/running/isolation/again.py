"""What failed for want of something that may be there a moment later, tried once more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..processes import Answer, Runner
from .runner import IsolationError


def trying_twice(runner: Runner) -> Runner:
    """Return what runs as another does, and once more where that cannot be done.

    It says nothing of the student; nor is one such moment the end of a whole grading.

    Parameters
    ----------
    runner : Runner
    """

    def twice(
        file: Path, function: str, calls: Sequence[tuple[Any, ...]], seconds: float, **also: Any
    ) -> Answer:
        try:
            return runner(file, function, calls, seconds, **also)
        except IsolationError:
            return runner(file, function, calls, seconds, **also)

    return twice
