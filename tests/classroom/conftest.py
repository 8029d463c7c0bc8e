"""The smallest assignment, and what students write for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from minires.classroom.assignment import Assignment
from minires.classroom.judging import CheckResult, Prepared, judged, prepared

SMALL = Path(__file__).parent / "small"


@pytest.fixture(scope="session")
def small() -> Assignment:
    """Rectified units, forward and backward."""
    return Assignment(SMALL)


@pytest.fixture(scope="session")
def cases(small: Assignment) -> dict[str, Prepared]:
    """Its checks, with some seed."""
    return prepared(small, seed=5)


@pytest.fixture
def results_of(
    small: Assignment, cases: dict[str, Prepared], tmp_path: Path
) -> Callable[[str], dict[str, CheckResult]]:
    """Judge a text."""

    def results_of(text: str) -> dict[str, CheckResult]:
        (tmp_path / "units.py").write_text(text, encoding="utf-8")
        return {result.name: result for result in judged(small, tmp_path, cases)}

    return results_of
