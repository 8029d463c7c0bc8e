"""`minires class` and `minires assignment`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from minires.classroom.assignment import Assignment

SMALL = Path(__file__).parents[1] / "classroom" / "small"


def test_commands_of_students_and_teachers(minires: Any) -> None:
    small = Assignment(SMALL)
    done = minires("class", "verify", SMALL, "--json")
    assert done.returncode == 0
    told = json.loads(done.stdout)
    assert told["known_wrong"] == {"total": 3, "caught": 3}
    assert told["assignments"][0]["problems"] == []

    done = minires("assignment", "start", SMALL, "--to", "a0")
    assert done.returncode == 0
    assert "a0/units.py is yours" in done.stdout.replace("\\", "/")
    done = minires("assignment", "check", "a0")
    assert done.returncode == 1
    assert "NotImplementedError: relu is yours to write" in done.stdout
    assert done.stdout.endswith("0 of 5 points\n")

    Path("a0/units.py").write_text(small.mistaken(small.mistakes["L2"]))
    told = json.loads(minires("assignment", "check", "a0", "--json").stdout)
    assert (told["score"], told["max"]) == (0, 5)
    assert [check["diagnosis"] for check in told["checks"]] == ["L2", None]
    assert minires("assignment", "hint", "relu_values", "a0", "--level", "3").stdout == (
        "np.maximum takes two.\n"
    )
    Path("a0/units.py").write_text(small.source.solution())
    assert minires("assignment", "check", "a0").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("class", "verify"), 2, "name an assignment, or say --all"),
        (("class", "verify", "nothing"), 1, "there is no assignment 'nothing'"),
        (("assignment", "check", "."), 1, "is no assignment's folder"),
        (("assignment", "start", "nothing"), 1, "there is no assignment 'nothing'"),
        (("assignment", "hint"), 2, "missing argument"),
    ],
)
def test_bad_use_is_told(minires: Any, arguments: tuple[str, ...], code: int, words: str) -> None:
    done = minires(*arguments)
    assert done.returncode == code
    assert words in done.stderr.lower()
