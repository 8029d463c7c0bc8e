"""What is said of a class: counts, likeness, and the page of it."""

from __future__ import annotations

import dataclasses
import json
from xml.etree import ElementTree

import pytest

from minires.classroom.assignment import Assignment
from minires.classroom.classes.asked import ClassList, class_report_of
from minires.classroom.classes.class_page import _heat_map, page_of
from minires.classroom.classes.class_report import ABOUT_SIMILARITY, ClassReport, reported
from minires.classroom.classes.grades import grades_of
from minires.classroom.classes.lateness import Deadline, moment
from minires.classroom.classes.roster import Person
from minires.classroom.classes.similarity import Pair, similar_pairs, winnowed
from minires.classroom.grading import Record
from minires.classroom.results import GradedCheck, Submission
from minires.classroom.shipped import assignment_of

EVIL = "<script>alert(1)</script>\x1b[2J\x00"


def submission(id: str, *statuses: str, mistake: str | None = None) -> Submission:
    checks = tuple(
        GradedCheck(
            f"check{number}",
            f"Check {number}",
            status,
            2 * (status == "passed"),
            2,
            False,
            message="" if status == "passed" else f"wrong {EVIL}",
            diagnosis=mistake if status == "failed" else None,
            output=EVIL,
        )
        for number, status in enumerate(statuses)
    )
    return Submission(id, "small", checks, (f"imports {EVIL}",) if id == "eve" else ())


@pytest.fixture
def report() -> ClassReport:
    found = [
        submission("ada", "passed", "passed", "passed"),
        submission("bob", "passed", "failed", "skipped", mistake="L2"),
        submission("cy", "failed", "failed", "skipped", mistake="L2"),
        submission("eve", "passed", "passed", "unread"),
    ]
    return reported(
        "small",
        "Small <b>",
        found,
        grades_of(found)[0],
        {"L2": "[p:-p] is <empty>"},
        pairs=[Pair("ada", "bob", 0.9, 12)],
        guards=["no namespaces"],
    )


def test_mistakes_are_counted_once_for_each_submission(report: ClassReport) -> None:
    assert report.mistakes == [("L2", 2, "[p:-p] is <empty>")]


def test_items_tell_how_each_check_did(report: ClassReport) -> None:
    first, second, third = report.items
    assert (first.passed, first.failed, first.skipped, first.rate) == (3, 1, 0, 0.75)
    # By hand: those who passed have 4, 0 and 2 other points, who failed has 0.
    assert first.discrimination == pytest.approx(0.522, abs=1e-3)
    assert second.discrimination == pytest.approx(0.707, abs=1e-3)
    assert (third.by_hand, third.discrimination) == (1, None)
    told = report.summary()
    assert json.loads(json.dumps(told)) == told
    assert (told["mean"], told["median"], told["max"]) == (3.0, 3.0, 6)
    assert told["similar"] == [{"first": "ada", "second": "bob", "share": 0.9, "lines": 12}]
    assert told["about_similarity"] == ABOUT_SIMILARITY


def test_the_page_is_well_formed_and_holds_nothing_of_students_that_runs(
    report: ClassReport,
) -> None:
    html = page_of(report)
    page = ElementTree.fromstring(html.removeprefix("<!DOCTYPE html>\n"))
    assert not list(page.iter("script"))
    assert "\x1b" not in html
    said = "".join(page.itertext())
    for words in ("Small <b>", "imports <script>", "no namespaces", ABOUT_SIMILARITY, "2 of 4"):
        assert words in said
    assert len(list(page.iter("details"))) == 4


def test_a_page_shows_the_pairs_that_are_most_alike(report: ClassReport) -> None:
    pairs = [Pair(f"x{number}", "y", 0.9, number) for number in range(60)]
    html = page_of(dataclasses.replace(report, pairs=pairs))
    assert "the first 50 of 60 pairs" in html
    assert ">x49<" in html
    assert ">x50<" not in html


def test_heat_maps_are_drawn_with_their_characters_and_escaped() -> None:
    drawn = ElementTree.fromstring(_heat_map([[["0 ", ""], ["<#", "far below"]], [["@", "worst"]]]))
    assert "".join(drawn.itertext()) == "0 <#\n@"
    assert [part.get("class") for part in drawn] == ["", "far below", "worst"]
    assert _heat_map([]) == ""


def test_a_class_that_handed_in_nothing_has_a_page() -> None:
    assert "nothing was handed in" in page_of(reported("small", "Small", [], [], {}))


@pytest.fixture(scope="module")
def convolution() -> Assignment:
    return assignment_of("a2")


def test_a_renamed_and_rearranged_copy_is_found_and_other_solutions_are_not(
    convolution: Assignment,
) -> None:
    texts = {
        path.stem: [path.read_text(encoding="utf-8")]
        for path in sorted((convolution.folder / "right").glob("*.py"))
    }
    copied = texts["loops"][0]
    for old, new in (("cols", "k"), ("dx", "grad"), ("weight", "w"), ("groups", "parts")):
        copied = copied.replace(old, new)
    head, *functions = copied.split("\ndef ")
    moved = "\ndef ".join([head + "  # mine", *functions[::-1]])
    texts["copy"] = [moved]

    pairs = similar_pairs(texts, list(convolution.starter().values()))

    assert [(pair.first, pair.second) for pair in pairs] == [("copy", "loops")]
    assert pairs[0].lines > 30


def test_what_everybody_was_given_is_not_alike(convolution: Assignment) -> None:
    starter = list(convolution.starter().values())
    assert similar_pairs({"ada": starter, "bob": starter}, starter) == []


@pytest.mark.parametrize("text", ["", "def f(:\n  (", "'" * 3, "\x00", "(" * 10_000, "é" * 50])
def test_what_is_no_program_is_no_trouble(text: str) -> None:
    winnowed(text)


def test_the_order_of_pseudonyms_tells_nobody() -> None:
    names = {"ada": "s-3", "bob": "s-1", "cy": "s-4", "dan": "s-2"}
    roster = {id: Person(id) for id in names}
    people = ClassList(roster, None, None, names.__getitem__)
    found = [submission(names[id], "passed") for id in ("ada", "bob")]
    told = class_report_of(Record("small", "Small", "", 1), found, people, [], None)
    assert [each.shown.id for each in told.grades] == ["s-1", "s-2", "s-3", "s-4"]
    assert list(told.notes) == [f"{id} has handed in nothing" for id in ("s-2", "s-4")]


def test_where_times_are_told_lateness_is_known_when_what_was_handed_in_is_gone() -> None:
    at = moment("2026-11-30T12:00Z")
    people = ClassList(None, {"ada": at}, Deadline(at), str)
    found = [submission("ada", "passed")]
    told = class_report_of(Record("small", "Small", "", 1), found, people, [], None)
    assert told.grades[0].late is not None


def test_texts_that_nobody_has_read_are_told() -> None:
    people = ClassList(None, None, None, str)
    found = [submission("ada", "passed", "unread"), submission("bob", "unread", "read")]
    told = class_report_of(Record("small", "Small", "", 1), found, people, [], None)
    assert list(told.notes) == ["texts that wait for points, which people give with --marks: 2"]
