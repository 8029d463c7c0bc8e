"""How results are written for the platforms that collect them."""

from __future__ import annotations

import base64
import csv
import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from minires.classroom.classes.class_report import ClassReport, reported
from minires.classroom.classes.grades import Grade, grades_of
from minires.classroom.classes.roster import Person
from minires.classroom.formats import FORMATS, as_classroom50, as_csv, as_gradescope, write_results
from minires.classroom.results import GradedCheck, Submission
from tests.classroom import schemas

SERVICE = {
    "CLASSROOM": "c",
    "ASSIGNMENT": "a",
    "SUBMISSION_TAG": "submit/1-a",
    "COMMIT_URL": "https://x/1",
    "RELEASE_URL": "https://x/2",
}


@pytest.fixture
def mixed() -> Submission:
    """One check of each kind; one is hidden, and one printed what XML cannot hold."""
    return Submission(
        "=ada",
        "small",
        (
            GradedCheck("one", "First", "passed", 2, 2, False, output="\x00 é <b>" + "x" * 600),
            GradedCheck("two", "Second", "failed", 0, 3, False, "wrong:\n<dw>", "L2"),
            GradedCheck("three", "Third", "failed", 0, 4, True, "secret", "L4", output="secret"),
            GradedCheck("four", "Fourth", "unread", 0, 5, False, "what was written"),
        ),
        ("imports torch",),
        1.25,
    )


def report_of(*submissions: Submission) -> ClassReport:
    grades, _ = grades_of(submissions)
    return reported("small", "Small", submissions, grades, {"L2": "says"})


def test_gradescope_reads_it(mixed: Submission) -> None:
    told = as_gradescope(mixed)
    jsonschema.validate(told, schemas.GRADESCOPE)
    assert (told["score"], told["execution_time"]) == (2, 1.25)
    assert sum(test["score"] for test in told["tests"]) == told["score"]
    assert [test.get("status") for test in told["tests"]] == ["passed", "failed", "failed", None]


def test_github_reads_it(mixed: Submission) -> None:
    told = json.loads(base64.b64decode(FORMATS["github"][1](mixed)))
    jsonschema.validate(told, schemas.GITHUB)
    assert (told["version"], told["status"], told["max_score"]) == (3, "fail", 14)
    assert sum(test["score"] for test in told["tests"]) == 2.0
    assert "secret" not in str(told)


def test_exercism_reads_it(mixed: Submission) -> None:
    told = json.loads(FORMATS["exercism"][1](mixed))
    jsonschema.validate(told, schemas.EXERCISM)
    assert (told["version"], told["status"], told["message"]) == (3, "fail", None)
    assert [test["status"] for test in told["tests"]] == ["pass", "fail", "fail", "fail"]
    assert "secret" not in str(told)


@pytest.mark.parametrize(("points", "passed"), [(5, True), (4, False)])
def test_a_text_with_all_its_points_is_passed(points: int, passed: bool) -> None:
    submission = Submission("ada", "small", (GradedCheck("t", "T", "read", points, 5, False, "x"),))
    status = "pass" if passed else "fail"
    assert json.loads(FORMATS["exercism"][1](submission))["status"] == status
    assert json.loads(base64.b64decode(FORMATS["github"][1](submission)))["status"] == status
    assert as_classroom50(submission, SERVICE)["tests"][0]["passed"] is passed
    suite = ElementTree.fromstring(FORMATS["junit"][1](submission).encode())
    assert suite.attrib["skipped"] == str(len(suite[0])) == ("0" if passed else "1")


def test_junit_is_xml(mixed: Submission) -> None:
    text = FORMATS["junit"][1](mixed)
    assert "secret" not in text
    suite = ElementTree.fromstring(text.encode())
    assert suite.attrib == {
        "name": "small",
        "tests": "4",
        "failures": "2",
        "errors": "0",
        "skipped": "1",
        "time": "1.250",
    }
    first, second, _, fourth = suite
    assert first.findtext("system-out", "").startswith("? é <b>")
    assert second.find("failure").attrib["message"] == "wrong:"  # type: ignore[union-attr]
    assert fourth.find("skipped") is not None


def test_classroom50_reads_it(mixed: Submission, tmp_path: Path) -> None:
    service = {**SERVICE, "REVIEW_URL": ""}
    path, _ = write_results(report_of(mixed), tmp_path, "classroom50", environment=service)
    assert path == tmp_path / "result.json"
    result = json.loads(path.read_text())
    jsonschema.validate(result, schemas.CLASSROOM50)
    assert result["review"] == "https://x/1"
    assert (result["score"], result["max-score"]) == (2, 14)
    assert (result["tests"][2]["message"], result["tests"][2]["diagnosis"]) == ("", None)
    assert result["tests"][1]["diagnosis"] == "L2"


def test_classroom50_is_of_one_submission_that_the_service_names(mixed: Submission) -> None:
    with pytest.raises(ValueError, match="lacks CLASSROOM"):
        as_classroom50(mixed, {})
    with pytest.raises(ValueError, match="one submission, and there are 2"):
        write_results(report_of(mixed, mixed), Path(), "classroom50", environment=SERVICE)


@pytest.mark.parametrize(
    ("schema", "wrong"),
    [
        (schemas.GRADESCOPE, {"score": "3"}),
        (schemas.GRADESCOPE, {"score": 3, "visibility": "no"}),
        (schemas.GITHUB, {"version": 3, "status": "passed", "max_score": 1, "tests": []}),
        (schemas.EXERCISM, {"version": 3, "status": "pass"}),
        (schemas.CLASSROOM50, {"schema": "classroom50/result/v2"}),
    ],
)
def test_the_schemas_refuse_what_is_wrong(schema: dict[str, Any], wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema)


def test_a_table_holds_no_formula(mixed: Submission, tmp_path: Path) -> None:
    grades = [Grade(Person("=ada", name="@sum", group="g"), mixed), Grade(Person("bob"), None)]
    head, *rows = csv.reader(io.StringIO(as_csv(grades)))
    ada, bob = (dict(zip(head, row, strict=True)) for row in rows)
    assert ada == {
        "id": "'=ada",
        "name": "'@sum",
        "group": "g",
        "score": "2",
        "max": "14",
        "incidents": "1",
        "mistakes": "L2 L4",
        "one": "2",
        "two": "0",
        "three": "0",
        "four": "0",
    }
    assert (bob["id"], bob["score"], bob["max"], bob["one"]) == ("bob", "0", "", "")


def test_each_format_has_its_files(mixed: Submission, tmp_path: Path) -> None:
    report = report_of(mixed)
    for format, name in (("csv", "grades.csv"), ("html", "grades.html"), ("canvas", "canvas.csv")):
        assert write_results(report, tmp_path, format)[0] == tmp_path / name
    for format, name in (("junit", "=ada.xml"), ("gradescope", "=ada.json")):
        folder, _ = write_results(report, tmp_path, format)
        assert [path.name for path in folder.iterdir()] == [name]
