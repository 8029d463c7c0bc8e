"""Rosters, deadlines, groups, pseudonyms and marks."""

from __future__ import annotations

import dataclasses
import os
import re
import stat
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from minires.classroom.assignment import AssignmentError
from minires.classroom.classes.csv_files import TableError, safe_cell
from minires.classroom.classes.grades import grades_of
from minires.classroom.classes.lateness import (
    Deadline,
    handed_in_at,
    late_policy,
    moment,
    read_times,
)
from minires.classroom.classes.marks import keep_marks, with_marks
from minires.classroom.classes.pseudonyms import pseudonym_key, pseudonym_of
from minires.classroom.classes.roster import Person, read_roster
from minires.classroom.results import GradedCheck, Submission

DUE = moment("2026-11-30T12:00+00:00")


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def submission(id: str, points: int = 8) -> Submission:
    check = GradedCheck("one", "First", "passed", points, 10, False)
    essay = GradedCheck("essay", "Essay", "unread", 0, 4, False)
    return Submission(id, "small", (check, essay))


def test_a_roster_is_read_in_any_order_and_any_spreadsheets_way(tmp_path: Path) -> None:
    text = "\ufeffEmail;Note; ID ;Name;Due\n\nada@x.org;-;ada;Ada;2026-12-02T12:00+01:00\n;;bob\n"
    people = read_roster(written(tmp_path / "r.csv", text))
    due = moment("2026-12-02T11:00+00:00")
    assert people == {"ada": Person("ada", "Ada", "ada@x.org", due=due), "bob": Person("bob")}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "r.csv: is empty"),
        ("id,name\nada,Ada\n", "line 1: there is no column 'email'; it needs id, name, email"),
        ("id,name,email,ID\n", "line 1: the column 'id' stands there twice"),
        ("id,name,email\n", "names nobody"),
        ("id,name,email\nada,,\nbob,,\nada,,\n", "line 4: the id 'ada' stands in line 2 already"),
        ("id,name,email\nada,,\nADA,,\n", "line 3: the id 'ADA' stands in line 2 already"),
        ("id,name,email\n../x,,\n", "line 2: the id '../x' cannot be that of a file"),
        ("id,name,email\nada,Ada,here\n", "line 2: 'here' is no email address"),
        ("id,name,email\nada,Ada,a@b,1,2\n", "line 2: has 5 cells, and there are 3 columns"),
        ("id,name,email,due\nada,,,tomorrow\n", "line 2: 'tomorrow' is no date and time"),
        ("id,name,email,due\nada,,,2026-12-01\n", "line 2: '2026-12-01' has no time of day"),
        ("id,name,email,group\nada,,,bob\nbob,,,\n", "'bob' is a group and somebody's id"),
    ],
)
def test_what_is_wrong_with_a_roster_is_told_with_its_line(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(TableError, match=re.escape(words)):
        read_roster(written(tmp_path / "r.csv", text))


def test_files_that_are_no_tables_are_told(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="No such file"):
        read_roster(tmp_path / "none.csv")
    (tmp_path / "r.csv").write_bytes(b"id,name,email\n\xff,,\n")
    with pytest.raises(TableError, match="is not UTF-8"):
        read_roster(tmp_path / "r.csv")


@pytest.mark.parametrize("cell", ["=1", "+1+1", "-1-1", "@x", "\t=1", "\r=1", "\uff1d1"])
def test_no_cell_is_taken_for_a_formula(cell: str) -> None:
    assert safe_cell(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "-", "-1.50", "+3", "ada"])
def test_what_is_none_is_left(cell: str) -> None:
    assert safe_cell(cell) == cell


@pytest.mark.parametrize(
    ("policy", "hours", "off"),
    [
        ("10%/day, 3 days", 0, 0),
        ("10%/day, 3 days", -5, 0),
        ("10%/day, 3 days", 0.1, 1),
        ("10%/day, 3 days", 24, 1),
        ("10%/day, 3 days", 24.1, 2),
        ("10%/day, 3 days", 72.1, 8),
        ("40% per day", 50, 8),
        ("0.5%/hour", 3, 0.15),
    ],
)
def test_lateness_costs_what_the_policy_says_and_never_more_than_the_score(
    policy: str, hours: float, off: float
) -> None:
    assert late_policy(policy).points_off(timedelta(hours=hours), 8, 10) == pytest.approx(off)


@pytest.mark.parametrize("text", ["", "10/day", "10%/week", "10%/day, 3 hours", "-1%/day"])
def test_what_is_no_policy_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is no late policy; write one like"):
        late_policy(text)


def test_times_come_from_a_table_or_from_files(tmp_path: Path) -> None:
    path = written(
        tmp_path / "t.csv",
        "time,id\n2026-11-30T10:00Z,ada\n2026-11-30T14:00+01:00,ada\n2026-11-30T09:00Z,ada\n",
    )
    assert read_times(path) == {"ada": moment("2026-11-30T13:00+00:00")}
    with pytest.raises(TableError, match=r"line 2: 'soon' is no date"):
        read_times(written(path, "time,id\nsoon,ada\n"))
    folder = tmp_path / "ada"
    folder.mkdir()
    for number, name in enumerate(("old.py", "new.py")):
        written(folder / name, "")
        os.utime(folder / name, (1000 + number, 1000 + number))
    assert handed_in_at(folder) == datetime.fromtimestamp(1001, UTC)


def test_a_group_gets_the_points_of_its_later_submission_and_that_is_told() -> None:
    roster = {
        "ada": Person("ada", group="g"),
        "bob": Person("bob", group="g"),
        "cy": Person("cy"),
    }
    at = {"ada": DUE, "g": DUE + timedelta(hours=1), "eve": DUE}

    grades, notes = grades_of(
        [submission("ada", 3), submission("g", 5), submission("eve")], roster, times=at
    )

    assert [(each.person.id, each.score) for each in grades] == [("ada", 5), ("bob", 5), ("cy", 0)]
    assert notes == [
        "the group g has handed in more than once: g, the last, counts, and ada does not",
        "cy has handed in nothing",
        "eve is nobody in the roster",
    ]


def test_the_honest_score_stands_beside_what_lateness_costs() -> None:
    roster = {
        "ada": Person("ada"),
        "bob": Person("bob", due=DUE + timedelta(days=7)),
    }
    at = dict.fromkeys(roster, DUE + timedelta(hours=30))
    deadline = Deadline(DUE, late_policy("10%/day"))

    (ada, bob), _ = grades_of([submission("ada"), submission("bob")], roster, deadline, at)

    assert (ada.score, ada.final) == (8, 5.2)  # two days begun, of 14 points
    assert (bob.score, bob.final) == (8, 8)
    assert ada.summary()["points_off"] == 2.8


def test_pseudonyms_are_kept_with_the_results_and_tell_nothing(tmp_path: Path) -> None:
    key = pseudonym_key(tmp_path)
    assert pseudonym_key(tmp_path) == key
    assert pseudonym_key(tmp_path / "other") != key
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "pseudonyms.key").stat().st_mode) == 0o600
    written(tmp_path / "other" / "pseudonyms.key", "")
    with pytest.raises(AssignmentError, match="is damaged"):
        pseudonym_key(tmp_path / "other")
    name_of = partial(pseudonym_of, key=key)
    roster = {"ada": Person("ada", "Ada", "ada@x.org", "pair")}

    [grade], notes = grades_of([submission(name_of("ada"))], roster, name_of=name_of)

    assert notes == []
    assert grade.person.name == "Ada"  # for a gradebook
    assert "ada" not in str(grade.summary()).lower()
    assert "pair" not in str(grade.summary())


def test_marks_are_points_for_what_people_read(tmp_path: Path) -> None:
    both = [submission("ada"), submission("bob")]
    keep_marks(written(tmp_path / "m.csv", "points,id,check\n3,ada,essay\n"), tmp_path, both)
    ada, bob = with_marks(tmp_path, both)
    assert (ada.score, bob.score, ada.max_score) == (11, 8, 14)
    assert [check.status for check in ada.checks] == ["passed", "read"]
    assert [check.status for check in bob.checks] == ["passed", "unread"]


def test_marks_of_several_files_are_kept_together_and_the_last_counts(tmp_path: Path) -> None:
    both = [submission("ada"), submission("=bob")]
    for line in ("3,ada,essay", "2,'=bob,essay", "4,ada,essay"):
        keep_marks(written(tmp_path / "m.csv", f"points,id,check\n{line}\n"), tmp_path, both)
    assert [each.score for each in with_marks(tmp_path, both)] == [12, 10]
    assert "\n=bob" not in (tmp_path / "marks.csv").read_text()
    assert [each.score for each in with_marks(tmp_path, both[1:])] == [10]


def test_a_mark_is_of_the_text_that_was_read(tmp_path: Path) -> None:
    ada = submission("ada")
    keep_marks(written(tmp_path / "m.csv", "points,id,check\n3,ada,essay\n"), tmp_path, [ada])
    for change in ({"message": "another"}, {"message": "", "status": "failed"}):
        later = dataclasses.replace(ada.checks[1], **change)
        [graded] = with_marks(tmp_path, [dataclasses.replace(ada, checks=(later,))])
        assert graded.checks == (later,)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("eve,essay,1", "line 2: there is no submission 'eve'"),
        ("ada,one,1", "line 2: 'one' is no check of ada that people read; there are essay"),
        ("ada,essay,5", "line 2: '5' is no number of points; whole ones from 0 to 4 are"),
        ("ada,essay,-1", "line 2: '-1' is no number"),
        ("ada,essay,0000000009", "line 2: '0000000009' is no number"),
        ("ada,essay,1\nada,essay,2", "line 3: essay of ada has a mark already"),
    ],
)
def test_marks_that_cannot_be_are_told(tmp_path: Path, line: str, words: str) -> None:
    path = written(tmp_path / "m.csv", f"id,check,points\n{line}\n")
    with pytest.raises(TableError, match=re.escape(words)):
        keep_marks(path, tmp_path, [submission("ada")])
    assert not (tmp_path / "marks.csv").exists()


def test_a_deadline_lasts_to_the_end_of_its_minute() -> None:
    deadline = Deadline(moment("2026-11-30T23:59+00:00"), late_policy("10%/day"))
    inside, after = moment("2026-11-30T23:59:59+00:00"), moment("2026-12-01T00:00:00+00:00")
    assert deadline.late(inside, 8, 10, None).points_off == 0.0
    assert deadline.late(after, 8, 10, None).points_off == 1.0


@pytest.mark.parametrize("text", ["2026-11-30", "2026-11-30T23"])
def test_a_day_without_a_time_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="has no time of day; write one like 2026-11-30T23:59"):
        moment(text)
