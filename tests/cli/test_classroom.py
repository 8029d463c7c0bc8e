"""`minires class` and `minires assignment`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from minires.classroom.assignment import Assignment
from minires.cli.class_grade import _whole

SMALL = Path(__file__).parents[1] / "classroom" / "small"


def _why_not() -> str:
    """Say why submissions of others cannot be graded here, if so."""
    if sys.platform != "linux":
        return "submissions of others are graded on Linux"
    from minires.classroom.running.isolation import IsolationError, missing_guards

    try:
        missing_guards()
    except IsolationError as error:
        return str(error)
    return ""


needs_isolation = pytest.mark.skipif(bool(_why_not()), reason=_why_not() or "it can be done here")


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
    assert "not written yet: relu is yours to write" in done.stdout
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
        (("assignment", "hint"), 1, "is no assignment's folder"),
        (("assignment", "watch"), 1, "is no assignment's folder"),
        (("assignment", "submit"), 1, "is no assignment's folder"),
    ],
)
def test_bad_use_is_told(minires: Any, arguments: tuple[str, ...], code: int, words: str) -> None:
    done = minires(*arguments)
    assert done.returncode == code
    assert words in done.stderr.lower()


@needs_isolation
def test_what_was_handed_in_is_graded(minires: Any) -> None:
    small = Assignment(SMALL)
    Path("in").mkdir()
    Path("in/ada.py").write_text(small.solution["units.py"])
    Path("in/bob.py").write_text(small.mistaken(small.mistakes["L4"])["units.py"])

    done = minires(
        *("class", "grade", "in", "--assignment", SMALL),
        *("--jobs", "2", "--format", "csv", "--format", "html", "--json"),
    )

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
    assert Path("grades/grades.html").exists()

    # What changed is graded again, and nothing else; the report tells of both.
    before = Path("grades/results/ada.json").stat().st_mtime_ns
    Path("in/bob.py").write_text(small.solution["units.py"])
    done = minires("class", "regrade", "grades", "--format", "moodle", "--json")
    assert [each["score"] for each in json.loads(done.stdout)["submissions"]] == [5, 5]
    assert Path("grades/results/ada.json").stat().st_mtime_ns == before
    told = json.loads(minires("class", "report", "grades", "--html", "r.html", "--json").stdout)
    assert [check["rate"] for check in told["checks"]] == [1, 1]
    assert [pair["share"] for pair in told["similar"]] == [1.0]  # it is the same file twice
    assert Path("r.html").read_text().startswith("<!DOCTYPE html>")


@needs_isolation
def test_a_class_is_graded_as_it_is_taught(minires: Any) -> None:
    small = Assignment(SMALL)
    Path("roster.csv").write_text(
        "id,name,email,group\nada,Ada,ada@x.org,pair\nbob,Bob,bob@x.org,pair\ncy,Cy,cy@x.org,\n"
    )
    Path("times.csv").write_text("id,time\nada,2026-11-30T10:00Z\n")
    done = minires(
        *("class", "release", SMALL, "--to", "out", "--variants", "--roster", "roster.csv")
    )
    assert done.returncode == 0, done.stderr
    Path("in").mkdir()
    Path("out/students/ada/small").rename("in/ada")
    Path("in/ada/units.py").write_text(small.solution["units.py"])
    asked = ("class", "grade", "in", "--assignment", "out/grader", "--roster", "roster.csv")
    due = ("--due", "2026-11-28T10:00+00:00", "--late", "10%/day", "--submitted", "times.csv")

    done = minires(*asked, *due, "--anonymous", "--format", "canvas", "--json")

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    [submission] = told["submissions"]
    assert submission["score"] == 5
    points = [(each["score"], each["final"]) for each in told["grades"]]
    assert sorted(points) == [(0, 0), (5, 4), (5, 4)]
    names = "".join(str(path) for path in Path("grades").rglob("*"))
    for name in ("ada", "bob", "pair"):
        assert name not in names + done.stdout + done.stderr.lower()
    assert "Ada,,ada,ada@x.org,,4" in Path("grades/canvas.csv").read_text()
    done = minires(*asked)
    assert (done.returncode, "has results under pseudonyms" in done.stderr) == (1, True)
    Path("out/grader/assignment/small/cases.py").write_text("")
    done = minires(*asked, "--out", "again")
    assert done.returncode == 1
    assert "cases.py is changed" in done.stderr


def test_a_folder_of_an_assignments_name_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a2", "mine", "bundled"):
        Path(name).mkdir()
    Path("mine/assignment.toml").touch()
    Path("bundled/bundle.json").touch()
    assert _whole("a2") == "a2"
    for path in ("mine", "bundled", "bundle.zip"):
        assert _whole(path) == str(tmp_path / path)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("grade", "nothing"), 1, "there is no folder 'nothing'"),
        (("grade", "in"), 1, "does not say of which assignment it is; name it with --assignment"),
        (("grade", "in", "--format", "pdf", "--assignment", SMALL), 2, "there is no 'pdf'"),
        (("grade", "in", "--gradebook", "x.csv", "--assignment", SMALL), 2, "goes with --format"),
        (("grade", "in", "--late", "10%/day", "--assignment", SMALL), 1, "--late needs --due"),
        (
            ("grade", "in", "--format", "moodle", "--gradebook", "x.csv", "--assignment", SMALL),
            1,
            "no such file",
        ),
        (
            (
                *("grade", "in", "--assignment", SMALL),
                *("--submitted", "t.csv", "--due", "2026-11-30T12:00Z"),
            ),
            1,
            "has no time of 'ada'",
        ),
        (("grade", "in", "--due", "monday", "--assignment", SMALL), 1, "no date and time"),
        (("grade", "in", "--roster", "x.csv", "--assignment", SMALL), 1, "no such file"),
        (("grade", "in", "--format", "classroom50", "--assignment", SMALL), 1, "lacks classroom"),
        (("regrade", "in"), 1, "is no folder of results"),
        (("report", "in"), 1, "is no folder of results"),
        (("new", "Big"), 1, "is no name of an assignment"),
        (("release", SMALL, "--variants"), 2, "go together"),
        (("release", "nothing"), 1, "there is no assignment 'nothing'"),
        (("gradescope-zip", SMALL, "--wheel", "x"), 1, "is no wheel"),
    ],
)
def test_bad_use_of_teachers_is_told(
    minires: Any, arguments: tuple[Any, ...], code: int, words: str
) -> None:
    Path("in").mkdir()
    Path("in/ada.py").touch()
    Path("t.csv").write_text("id,time\nbob,2026-11-30T10:00Z\n")
    done = minires("class", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert not list(Path().rglob("results"))  # before anything was graded
    assert words in done.stderr.lower()
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="submissions of others are graded on Linux")
def test_what_cannot_be_run_apart_is_tried_once_more_and_then_told() -> None:
    from minires.classroom.running.isolation import IsolationError, trying_twice

    answers: list[Any] = [IsolationError("busy"), "done", *[IsolationError("gone")] * 2]

    def runner(*_: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    twice = trying_twice(runner)
    assert twice(Path(), "f", [], 1.0) == "done"
    with pytest.raises(IsolationError, match="gone"):
        twice(Path(), "f", [], 1.0)
    assert not answers
