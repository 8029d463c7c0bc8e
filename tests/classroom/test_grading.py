"""Grading a folder of submissions, and how results are written."""

from __future__ import annotations

import base64
import csv
import functools
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from minires.classroom.assignment import Assignment, AssignmentError
from minires.classroom.formats import FORMATS, as_classroom50, as_csv, as_gradescope, write_results
from minires.classroom.grading import grade, submissions_in
from minires.classroom.judging import prepared
from minires.classroom.processes import run_alone
from minires.classroom.results import GradedCheck, Submission
from minires.classroom.shipped import assignment_of
from tests.classroom.assignments import run_here


@pytest.fixture
def submissions(small: Assignment, tmp_path: Path) -> Path:
    """What four students handed in, each in another form."""
    folder = tmp_path / "in"
    (folder / "bob").mkdir(parents=True)
    (folder / "ada.py").write_text(small.solution["units.py"])
    (folder / "bob" / "units.py").write_text(small.mistaken(small.mistakes["L4"])["units.py"])
    with zipfile.ZipFile(folder / "cy.zip", "w") as archive:
        archive.writestr("work/units.py", small.mistaken(small.mistakes["L2"])["units.py"])
        archive.writestr("../evil.py", "x = 1")
    (folder / "dan").mkdir()
    (folder / "dan" / "notes.txt").write_text("later")
    return folder


def test_every_form_of_submission_is_graded(
    small: Assignment, submissions: Path, tmp_path: Path
) -> None:
    heard: list[str] = []

    graded = grade(
        small,
        submissions_in(submissions),
        tmp_path / "out",
        run_alone,
        jobs=1,
        told=lambda each: heard.append(each.id),
    )

    assert [(each.id, each.score) for each in graded] == [
        *(("ada", 5), ("bob", 2), ("cy", 3), ("dan", 0))
    ]
    assert [each.checks[0].diagnosis for each in graded] == [None, None, "L2", None]
    assert graded[1].checks[1].diagnosis == "L4"
    assert graded[2].incidents == ("its archive names '../evil.py', which is left out",)
    assert not (tmp_path / "evil.py").exists()
    assert graded[3].checks[0].message == "relu(array(3, 5)): there is no units.py"
    assert heard == ["ada", "bob", "cy", "dan"]


def test_an_error_in_an_early_part_does_not_zero_what_is_built_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quickly = functools.partial(prepared, runner=run_here, mistakes=False)
    monkeypatch.setattr("minires.classroom.grading.prepared", quickly)
    assignment = assignment_of("a4")
    text = assignment.solution["residual.py"]
    (tmp_path / "eve.py").write_text(text.replace("np.maximum(x, 0.0)", "np.maximum(x, 0.1)"))
    [graded] = grade(assignment, [tmp_path / "eve.py"], tmp_path / "out", run_alone)
    lost = {each.name: each.max_points for each in graded.checks if not each.passed}
    assert lost == {"relu_values": 1}
    assert graded.score == graded.max_score - 1
    [block] = [each for each in graded.checks if each.name == "basic_identity"]
    assert (block.passed, block.message) == (True, "with relu as it should be, in place of yours")


def test_a_grading_that_was_broken_off_goes_on_with_the_same_numbers(
    small: Assignment, submissions: Path, tmp_path: Path
) -> None:
    paths, out = submissions_in(submissions), tmp_path / "out"
    seen: list[Any] = []

    def noting(file: Path, function: str, calls: Any, seconds: float, **also: Any) -> Any:
        seen.append([argument.tobytes() for argument in calls[0] if hasattr(argument, "tobytes")])
        return run_alone(file, function, calls, seconds, **also)

    def stop(_: Submission) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grade(small, paths[:1], out, noting, told=stop)
    done = out / "results" / "ada.json"
    before = done.stat().st_mtime_ns
    first = seen[0]
    seen.clear()

    graded = grade(small, paths, out, noting)

    assert [each.score for each in graded] == [5, 2, 3, 0]
    assert done.stat().st_mtime_ns == before
    assert seen[0] == first


def test_results_depend_on_neither_order_nor_company(
    small: Assignment, submissions: Path, tmp_path: Path
) -> None:
    paths = submissions_in(submissions)
    forward = grade(small, paths, tmp_path / "one", run_alone)
    together = grade(small, paths[::-1], tmp_path / "two", run_alone, jobs=2)[::-1]
    assert [each.summary() for each in forward] == [each.summary() for each in together]


def test_results_of_another_state_of_the_assignment_are_not_mixed(
    small: Assignment, submissions: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    grade(small, submissions_in(submissions)[:1], out, run_alone)
    record = out / "grading.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "digest": "another"}))
    with pytest.raises(AssignmentError, match="in another state than small is now"):
        grade(small, submissions_in(submissions), out, run_alone)


def test_what_cannot_be_submissions_is_told(tmp_path: Path) -> None:
    with pytest.raises(AssignmentError, match="there is no folder"):
        submissions_in(tmp_path / "none")
    with pytest.raises(AssignmentError, match="has no submissions"):
        submissions_in(tmp_path)
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada.py").touch()
    with pytest.raises(AssignmentError, match="two submissions that are called 'ada'"):
        submissions_in(tmp_path)


@pytest.mark.parametrize(
    ("make", "fact"),
    [
        (lambda path: path.write_bytes(b"PK no archive"), "its archive cannot be read"),
        (
            lambda path: _zipped(path, {f"{i}.py": "" for i in range(1001)}),
            "its archive holds more than a submission may",
        ),
        (lambda path: _zipped(path, {"/etc/x.py": ""}), "its archive names '/etc/x.py'"),
    ],
)
def test_archives_that_are_none_or_mean_harm_are_noted(
    small: Assignment,
    tmp_path: Path,
    make: Callable[[Path], None],
    fact: str,
) -> None:
    make(tmp_path / "eve.zip")
    [graded] = grade(small, [tmp_path / "eve.zip"], tmp_path / "out", run_alone)
    assert graded.score == 0
    assert graded.incidents[0].startswith(fact)


def test_a_member_that_would_swell_is_left_out(small: Assignment, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "eve.zip", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("notes.txt", "x" * 10**6)
        archive.writestr("units.py", small.solution["units.py"], zipfile.ZIP_DEFLATED)
    [graded] = grade(small, [tmp_path / "eve.zip"], tmp_path / "out", run_alone)
    assert graded.score == 5
    assert graded.incidents == ("its archive names 'notes.txt', which is left out",)


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="there are no links here")
def test_links_in_a_submission_are_not_followed(small: Assignment, tmp_path: Path) -> None:
    (tmp_path / "solved.py").write_text(small.solution["units.py"])
    (tmp_path / "eve").mkdir()
    (tmp_path / "eve" / "units.py").symlink_to(tmp_path / "solved.py")
    [graded] = grade(small, [tmp_path / "eve"], tmp_path / "out", run_alone)
    assert graded.score == 0
    assert graded.incidents == ("'units.py' is a link, which is not followed",)


def _zipped(path: Path, files: dict[str, str]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)


@pytest.fixture
def mixed() -> Submission:
    """One check of each kind; one is hidden, and one printed what XML cannot hold."""
    return Submission(
        "=ada",
        "small",
        (
            GradedCheck("one", "First", "passed", 2, 2, False, output="\x00 é <b>"),
            GradedCheck("two", "Second", "failed", 0, 3, False, "wrong:\n<dw>", "L2"),
            GradedCheck("three", "Third", "skipped", 0, 4, True, "skipped: mend two first"),
        ),
        ("imports torch",),
        1.25,
    )


def test_gradescope_reads_it(mixed: Submission) -> None:
    told = as_gradescope(mixed)
    assert set(told) <= {
        *("score", "execution_time", "output", "output_format", "test_output_format"),
        *("test_name_format", "visibility", "stdout_visibility", "extra_data", "tests"),
        "leaderboard",
    }
    assert (told["score"], told["execution_time"]) == (2, 1.25)
    assert sum(test["score"] for test in told["tests"]) == told["score"]
    assert [test["status"] for test in told["tests"]] == ["passed", "failed", "failed"]
    allowed = {"hidden", "after_due_date", "after_published", "visible"}
    assert {test["visibility"] for test in told["tests"]} <= allowed
    assert all(isinstance(test["number"], str) for test in told["tests"])


def test_github_reads_it(mixed: Submission) -> None:
    told = json.loads(base64.b64decode(FORMATS["github"][1](mixed)))
    assert (told["version"], told["status"], told["max_score"]) == (3, "fail", 9)
    assert sum(test["score"] for test in told["tests"]) == 2.0
    assert "message" not in told["tests"][2]  # hidden


def test_exercism_reads_it(mixed: Submission) -> None:
    told = json.loads(FORMATS["exercism"][1](mixed))
    assert (told["version"], told["status"], told["message"]) == (3, "fail", None)
    assert [test["status"] for test in told["tests"]] == ["pass", "fail", "fail"]


def test_junit_is_xml(mixed: Submission) -> None:
    suite = ElementTree.fromstring(FORMATS["junit"][1](mixed).encode())
    assert suite.attrib == {
        "name": "small",
        "tests": "3",
        "failures": "1",
        "errors": "0",
        "skipped": "1",
        "time": "1.250",
    }
    first, second, _ = suite
    assert first.find("system-out").text == "? é <b>"  # type: ignore[union-attr]
    assert second.find("failure").attrib["message"] == "wrong:"  # type: ignore[union-attr]


def test_classroom50_reads_it(mixed: Submission) -> None:
    told = {
        "CLASSROOM": "c",
        "ASSIGNMENT": "a",
        "SUBMISSION_TAG": "submit/1-a",
        "COMMIT_URL": "https://x/1",
        "RELEASE_URL": "https://x/2",
    }
    result = as_classroom50(mixed, told)
    assert result["review"] == "https://x/1"
    assert (result["score"], result["max-score"]) == (2, 9)
    assert all(isinstance(test["score"], int) for test in result["tests"])
    assert result["tests"][2]["message"] == ""
    with pytest.raises(ValueError, match="lacks CLASSROOM"):
        as_classroom50(mixed, {})


def test_a_table_holds_no_formula(mixed: Submission, tmp_path: Path) -> None:
    [head, row] = csv.reader(io.StringIO(as_csv([mixed])))
    assert dict(zip(head, row, strict=True)) == {
        "id": "'=ada",
        "score": "2",
        "max": "9",
        "incidents": "1",
        "mistakes": "L2",
        "one": "2",
        "two": "0",
        "three": "0",
    }
    assert write_results([mixed], tmp_path, "csv").read_text().startswith("id,score")
    assert [path.name for path in write_results([mixed], tmp_path, "junit").iterdir()] == [
        "=ada.xml"
    ]
