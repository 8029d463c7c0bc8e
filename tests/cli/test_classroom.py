"""`minires class` and `minires assignment`."""

from __future__ import annotations

import json
import sys
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

    Path("a0/units.py").write_text(small.mistaken(small.mistakes["L2"])["units.py"])
    told = json.loads(minires("assignment", "check", "a0", "--json").stdout)
    assert (told["score"], told["max"]) == (0, 5)
    assert [check["diagnosis"] for check in told["checks"]] == ["L2", None]
    assert minires("assignment", "hint", "relu_values", "a0", "--level", "3").stdout == (
        "np.maximum takes two.\n"
    )
    Path("a0/units.py").write_text(small.solution["units.py"])
    assert minires("assignment", "check", "a0").returncode == 0


def test_a_wrong_array_is_drawn_and_told_in_words(minires: Any) -> None:
    minires("assignment", "start", SMALL, "--to", "a0")
    right = Assignment(SMALL).solution["units.py"]
    Path("a0/units.py").write_text(right.replace("np.where(mask, x", "np.where(mask, 3 * x"))

    lines = minires("assignment", "check", "a0").stdout.splitlines()

    said = [line.strip() for line in lines if line.startswith(" " * 13)]
    assert said[1].startswith("y = 3 × what it should be everywhere, and 3 is the size of axis 0")
    assert said[2].startswith("y minus what it should be: ")
    assert [line[:2] for line in said[3:6]] == ["0 ", "1 ", "2 "]
    assert {*"".join(line[2:] for line in said[3:6])} <= {*"·+-#=@"}


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


@pytest.mark.skipif(sys.platform != "linux", reason="submissions of others are graded on Linux")
def test_what_was_handed_in_is_graded(minires: Any) -> None:
    from minires.classroom.isolation import IsolationError, missing_guards

    try:
        missing_guards()
    except IsolationError as error:
        pytest.skip(str(error))
    small = Assignment(SMALL)
    Path("in").mkdir()
    Path("in/ada.py").write_text(small.solution["units.py"])
    Path("in/bob.py").write_text(small.mistaken(small.mistakes["L4"])["units.py"])

    done = minires("class", "grade", SMALL, "in", "--jobs", "2", "--format", "csv", "--json")

    assert done.returncode == 0
    told = json.loads(done.stdout)["submissions"]
    assert [(each["id"], each["score"], each["max"]) for each in told] == [
        *(("ada", 5, 5), ("bob", 2, 5))
    ]
    assert told[1]["checks"][1] == {
        "name": "relu_backward_values",
        "passed": False,
        "diagnosis": "L4",
    }
    assert Path("grades/grades.csv").exists()
    assert minires("class", "grade", SMALL, "in", "--format", "pdf").returncode == 2
    assert minires("class", "grade", SMALL, "nothing").returncode == 1
