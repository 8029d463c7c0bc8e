"""Grades for the gradebooks of Canvas and Moodle."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from minires.classroom.classes.csv_files import TableError
from minires.classroom.classes.gradebooks import as_canvas, as_moodle
from minires.classroom.classes.grades import Grade
from minires.classroom.classes.roster import Person
from minires.classroom.results import GradedCheck, Submission

TITLE = "Residual"
CANVAS = """\
Student,ID,SIS User ID,SIS Login ID,Section,Other (11),Residual (12),Final Score
,,,,,Manual Posting,,
    Points Possible,,,,,5,10,(read only)
"Lovelace, Ada",501,s1,ada@x.org,A,4,,80
"=cmd, Bob",502,,BOB@x.org,A,4,7,80
"Student, Test",503,,,A,,,
"""
MOODLE = """\
Identifier,Full name,Email address,Status,Grade,Maximum Grade,Feedback comments
Participant 1,Ada,ada@x.org,Submitted,,10,
Participant 2,Zoe,zoe@x.org,Submitted,3,10,kept
"""


@pytest.fixture
def grades() -> list[Grade]:
    def of(person: Person, points: int) -> Grade:
        check = GradedCheck("one", "First", "passed", points, 10, False)
        return Grade(person, Submission(person.id, "small", (check,)))

    return [
        of(Person("s1", "Ada", "ada@x.org", section="A"), 9),
        of(Person("s2", "Bob", "bob@x.org"), 6),
        Grade(Person("s3", "Cy", "cy@x.org"), None),
    ]


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_an_exported_gradebook_of_canvas_is_filled_in(grades: list[Grade], tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(CANVAS)
    text, absent = as_canvas(grades, TITLE, tmp_path / "c.csv")
    assert rows_of(text) == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Residual (12)"],
        [""] * 6,
        ["    Points Possible", "", "", "", "", "10"],
        ["Lovelace, Ada", "501", "s1", "ada@x.org", "A", "9"],
        ["'=cmd, Bob", "502", "", "BOB@x.org", "A", "6"],
        ["Student, Test", "503", "", "", "A", ""],
    ]
    assert absent == [f"s3 is not in {tmp_path / 'c.csv'}"]


def test_canvas_makes_a_column_that_is_not_there(grades: list[Grade], tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(CANVAS)
    assert rows_of(as_canvas(grades, "New", tmp_path / "c.csv")[0])[3][-2:] == ["A", "9"]
    head, possible, *people = rows_of(as_canvas(grades, "New")[0])
    assert (head[-1], possible[0].strip(), possible[-1]) == ("New", "Points Possible", "10")
    assert [(row[2], row[-1]) for row in people] == [("s1", "9"), ("s2", "6"), ("s3", "0")]


def test_the_worksheet_of_moodle_is_filled_in_and_else_kept(
    grades: list[Grade], tmp_path: Path
) -> None:
    (tmp_path / "m.csv").write_text(MOODLE)
    text, absent = as_moodle(grades, TITLE, tmp_path / "m.csv")
    assert rows_of(text)[1:] == [
        ["Participant 1", "Ada", "ada@x.org", "Submitted", "9", "10", ""],
        ["Participant 2", "Zoe", "zoe@x.org", "Submitted", "3", "10", "kept"],
    ]
    assert len(absent) == 2
    assert rows_of(as_moodle(grades, TITLE)[0])[:2] == [
        ["ID number", "Email address", TITLE],
        ["s1", "ada@x.org", "9"],
    ]


def test_a_gradebook_of_something_else_is_refused(grades: list[Grade], tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("id,name\n1,Ada\n")
    with pytest.raises(TableError, match="there is no column 'Student'; export it from Canvas"):
        as_canvas(grades, TITLE, tmp_path / "c.csv")
    with pytest.raises(TableError, match="there is no column 'Email address'; export it from Mood"):
        as_moodle(grades, TITLE, tmp_path / "c.csv")


def test_points_of_people_that_are_not_of_the_class_stay(
    grades: list[Grade], tmp_path: Path
) -> None:
    (tmp_path / "c.csv").write_text(CANVAS + '"Zoe",504,s9,,A,4,3.5,80\n')
    assert rows_of(as_canvas(grades, TITLE, tmp_path / "c.csv")[0])[-1][-1] == "3.5"
    (tmp_path / "m.csv").write_text(MOODLE + "Participant 3,Yan,y@x.org,-,-,10,\n")
    assert rows_of(as_moodle(grades, TITLE, tmp_path / "m.csv")[0])[-1][4] == "-"


def test_nobody_gets_the_points_of_somebody_else(grades: list[Grade], tmp_path: Path) -> None:
    # A number of the platform that is somebody else's of the school.
    (tmp_path / "c.csv").write_text(CANVAS + '"Zoe",s1,,,A,4,3,80\n')
    with pytest.raises(TableError, match="two rows may be of 's1'"):
        as_canvas(grades, TITLE, tmp_path / "c.csv")
    shared = [Grade(each.person._replace(email="x@x.org"), each.submission) for each in grades]
    (tmp_path / "m.csv").write_text("Email address,Grade\nx@x.org,\n")
    text, absent = as_moodle(shared, TITLE, tmp_path / "m.csv")
    assert rows_of(text)[1] == ["x@x.org", ""]
    assert len(absent) == 3


def test_no_column_is_taken_where_several_may_be_meant(grades: list[Grade], tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(CANVAS.replace("Other (11)", "Residual (11)"))
    with pytest.raises(TableError, match="2 columns may be 'Residual'"):
        as_canvas(grades, TITLE, tmp_path / "c.csv")
