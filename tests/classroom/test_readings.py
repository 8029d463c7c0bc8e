"""Answers are data: read with bounds, held to what is recorded anew, and texts left to a human."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from minires.classroom.assignment import Assignment, AssignmentError
from minires.classroom.formats.gradescope import as_gradescope
from minires.classroom.formats.junit import as_junit
from minires.classroom.grading import grade
from minires.classroom.judging import CheckResult, judged, prepared
from minires.classroom.readings import unanswered
from minires.classroom.release import handed, release
from minires.classroom.results import graded
from minires.classroom.running.processes import run_alone
from minires.classroom.source import SourceError
from minires.classroom.submitted import submissions_in
from minires.classroom.verify import verified
from minires.cli.entry import main
from tests.classroom.assignments import run_here

SHEET = """
title = "Halves"
minutes = 5
file = "halves.py"
seed = 1

[answers]
largest_seed = 99
choices = { depth = [1, 2] }

[[functions]]
name = "half"
outputs = ["y"]

[[checks]]
name = "half_values"
function = "half"
title = "Halves"
points = 1
hints = ["a", "b", "c"]

[[checks]]
name = "norm"
kind = "reading"
title = "The norm"
points = 2
hints = ["a", "b", "c"]

[[checks]]
name = "ratio"
kind = "reading"
title = "The ratio"
points = 2
needs = ["norm"]
hints = ["a", "b", "c"]

[[checks]]
name = "why"
kind = "written"
title = "Why"
points = 3
hints = ["a", "b", "c"]
"""
RECORD = """
def record(seed, configuration):
    return {"norm": 100.0 + seed, "ratio": 0.5 / configuration["depth"]}


def mistaken(record):
    return {
        "N1": {"norm": record["norm"] ** 2},
        "N2": {"norm": record["norm"] / 2, "ratio": 1 / record["ratio"]},
    }
"""
MISTAKES = """
mistakes = [
    { id = "H1", function = "half", caught_by = "half_values", says = "It is doubled.", edits = [{ find = "/ 2", replace = "* 2" }] },
    { id = "N1", caught_by = "norm", says = "It is squared.", edits = [{ find = "norm = 107", replace = "norm = 11449" }] },
    { id = "N2", caught_by = "ratio", says = "It is upside down.", edits = [{ find = "ratio = 0.25", replace = "ratio = 4" }] },
]
"""  # noqa: E501
ANSWERS = """\
seed = 7  # SOLUTION

[configuration]
# 1 or 2
depth = 2  # SOLUTION

[readings]
norm = 107  # SOLUTION
ratio = 0.25  # SOLUTION

[written]
why = \"\"\"
Because of this,
and of that.
\"\"\"  # SOLUTION
"""


@pytest.fixture
def halves(tmp_path: Path) -> Assignment:
    folder = tmp_path / "halves"
    (folder / "source").mkdir(parents=True)
    half = "def half(x):\n    # BEGIN SOLUTION\n    return x / 2\n    # END SOLUTION\n"
    for name, text in {
        "assignment.toml": SHEET,
        "readings.py": RECORD,
        "mistakes.toml": MISTAKES,
        "cases.py": "def half_values(rng, reference):\n    yield (float(rng.standard_normal()),)\n",
        "handout.md": "Halve.\n",
        "source/halves.py": half,
        "source/answers.toml": ANSWERS,
    }.items():
        (folder / name).write_text(text, encoding="utf-8")
    return Assignment(folder)


Judge = Callable[[str | bytes], dict[str, CheckResult]]


@pytest.fixture
def judge(halves: Assignment, tmp_path: Path) -> Judge:
    cases = prepared(halves, 3, run_here)
    folder = tmp_path / "submission"
    folder.mkdir()
    (folder / "halves.py").write_text(halves.solution["halves.py"], encoding="utf-8")

    def judge(answers: str | bytes) -> dict[str, CheckResult]:
        data = answers if isinstance(answers, bytes) else answers.encode()
        (folder / "answers.toml").write_bytes(data)
        return {each.name: each for each in judged(halves, folder, cases, run_here)}

    return judge


def _solved(halves: Assignment, **changed: str) -> str:
    text = halves.solution["answers.toml"]
    for old, new in changed.values():
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def test_what_is_read_rightly_is_passed_and_what_is_written_is_left_to_be_read(
    halves: Assignment, judge: Judge
) -> None:
    results = judge(halves.solution["answers.toml"])
    assert {name: each.status for name, each in results.items()} == {
        "half_values": "passed",
        "norm": "passed",
        "ratio": "passed",
        "why": "unread",
    }
    assert results["why"].says == "Because of this,\nand of that."


@pytest.mark.parametrize(
    ("read", "status"),
    [("108", "passed"), ("105.95", "passed"), ("108.1", "failed"), ("1.07e2", "passed")],
)
def test_a_reading_may_be_off_by_a_hundredth(judge: Judge, read: str, status: str) -> None:
    assert judge(ANSWERS.replace("norm = 107", f"norm = {read}"))["norm"].status == status


def test_a_reading_is_held_to_the_seed_and_the_configuration_that_were_chosen(judge: Judge) -> None:
    other = ANSWERS.replace("seed = 7", "seed = 40").replace("depth = 2", "depth = 1")
    assert judge(other)["norm"].status == "failed"
    right = other.replace("norm = 107", "norm = 140").replace("ratio = 0.25", "ratio = 0.5")
    assert {judge(right)[name].status for name in ("norm", "ratio")} == {"passed"}


def test_a_reading_that_a_known_mistake_comes_to_is_called_by_its_name(judge: Judge) -> None:
    assert judge(ANSWERS.replace("norm = 107", "norm = 53.5"))["norm"].mistake == "N2"
    upside_down = judge(ANSWERS.replace("ratio = 0.25", "ratio = 4.01"))["ratio"]
    assert (upside_down.status, upside_down.mistake) == ("failed", "N2")


def test_of_another_reading_the_size_is_told_and_not_the_answer(judge: Judge) -> None:
    told = judge(ANSWERS.replace("norm = 107", "norm = 3.25"))["norm"]
    assert told.mistake is None
    assert told.says == "norm is 3.25 here; what this seed records is a number between 100 and 1000"
    told = judge(ANSWERS.replace("norm = 107", "norm = 300"))["norm"]
    assert told.says.endswith("is another number between 100 and 1000")
    assert judge(ANSWERS.replace("norm = 107", "norm = 3"))["ratio"].status == "skipped"


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ("seed = \n", "answers.toml cannot be read: Invalid value (at line 1, column 8)"),
        ("[readings]\nnorm = 'long'", "answers.toml, line 2: readings.norm: input should be a val"),
        ("[readings]\nnorm = nan", "answers.toml, line 2: readings.norm: input should be a finite"),
        ("[readings]\nnorm = 1e999", "answers.toml, line 2: readings.norm: input should be a fin"),
        ("[readings]\nnorm = true", "answers.toml, line 2: readings.norm: input should be a valid"),
        ("[readings]\nnorm = 2026-01-01", "answers.toml, line 2: readings.norm: input should be"),
        ("readings = 3", "answers.toml, line 1: readings: input should be a valid dict"),
        ("[readings]\nnrom = 3", "answers.toml, line 2: nrom is not asked; norm, ratio are"),
        ("[written]\nnorm = ''\nwhy = 3", "answers.toml, line 3: written.why: input should be a"),
        ("\n[trace]\nnorm = 3", "answers.toml, line 2: trace: extra inputs are not permitted"),
        ("seed = 100", "answers.toml, line 1: seed should be at most 99; it is 100"),
        ("seed = -1", "answers.toml, line 1: seed: input should be greater than or equal to 0"),
        ("seed = 1.5", "answers.toml, line 1: seed: input should be a valid integer"),
        ("seed = " + "9" * 4000, "answers.toml, line 1: seed: input should be less than or equal"),
        ("[configuration]\ndepth = 3", "answers.toml, line 2: depth should be one of 1, 2; it is"),
        ("[configuration]\nsteps = 3", "answers.toml, line 2: steps cannot be chosen; depth can"),
        (b"seed = 1\nwhy = '\xff'", "answers.toml, line 2: it is not in UTF-8"),
        ("a = " + "[" * 10_000, "answers.toml: values lie in one another too deep"),
        ("a" + ".a" * 8_000 + " = 1", "answers.toml: values lie in one another too deep"),
        ("a = " + "9" * 5_000, "answers.toml cannot be read: Exceeds the limit"),
        ("#" * 20_000, "answers.toml is larger than 16384 bytes"),
    ],
)
def test_broken_answers_are_told_in_a_sentence_and_cost_their_points_alone(
    judge: Judge, answers: str | bytes, says: str
) -> None:
    results = judge(answers)
    assert results["half_values"].status == "passed"
    assert results["ratio"].status == "skipped"
    for name in ("norm", "why"):
        assert results[name].status == "failed"
        assert results[name].says.startswith(says)
        assert len(results[name].says) < 450


def test_a_number_with_thousands_of_digits_is_wrong_and_no_crash(judge: Judge) -> None:
    answers = ANSWERS.replace("norm = 107", "norm = " + "9" * 4000)
    assert judge(answers)["norm"].status == "failed"


def test_answers_may_be_written_on_windows(halves: Assignment, judge: Judge) -> None:
    text = halves.solution["answers.toml"].replace("\n", "\r\n").encode("utf-8-sig")
    results = judge(text)
    assert results["ratio"].status == "passed"
    assert results["why"].says == "Because of this,\nand of that."


def test_what_steers_a_terminal_is_left_out_of_texts_and_messages(judge: Judge) -> None:
    red = "\\u001b[31m"
    told = judge(ANSWERS.replace("Because", f"{red}Because"))["why"]
    assert told.says.startswith("[31mBecause")
    told = judge(f'[readings]\n"{red}" = 3')["norm"]
    assert "\x1b" not in told.says


def test_of_a_long_text_the_beginning_is_told(judge: Judge) -> None:
    told = judge(ANSWERS.replace("Because", "B" * 9_000))["why"]
    assert (told.status, len(told.says)) == ("unread", 2_000)


def test_answers_that_are_missing_or_a_link_are_not_there(
    halves: Assignment, judge: Judge, tmp_path: Path
) -> None:
    judge(ANSWERS)
    cases, folder = prepared(halves, 3, run_here), tmp_path / "submission"
    elsewhere = (folder / "answers.toml").rename(tmp_path / "elsewhere.toml")
    for linked in (False, True) if sys.platform != "win32" else (False,):
        if linked:
            (folder / "answers.toml").symlink_to(elsewhere)
        results = {each.name: each for each in judged(halves, folder, cases, run_here)}
        assert (results["norm"].status, results["why"].status) == ("failed", "failed")
        assert results["norm"].says == "there is no answers.toml"
        assert results["half_values"].status == "passed"


def test_what_is_given_out_is_empty_and_says_what_is_yours(
    halves: Assignment, judge: Judge
) -> None:
    starter = halves.starter()["answers.toml"]
    assert starter.startswith('seed = ""\n\n[configuration]\n# 1 or 2\ndepth = ""\n')
    for solved in ("107", "0.25", "Because", "SOLUTION"):
        assert solved not in starter
    results = judge(starter)
    assert results["norm"].says == "norm is yours to read"
    assert results["why"].says == "why is yours to write"
    chosen = starter.replace('norm = ""', "norm = 107")
    assert judge(chosen)["norm"].says == "seed is yours to choose, before you read"
    chosen = chosen.replace('seed = ""', "seed = 7")
    assert judge(chosen)["norm"].says == "depth is yours to choose, before you read"


def test_answers_that_would_be_given_out_solved_are_refused() -> None:
    with pytest.raises(SourceError, match="norm is given out solved"):
        unanswered("[readings]\nnorm = 3\n", "answers.toml")
    twice = "[readings]\nnorm = 3\n[written]\nnorm = 4  # SOLUTION\n"
    with pytest.raises(SourceError, match="norm is given out solved"):
        unanswered(twice, "answers.toml")
    with pytest.raises(SourceError, match="it is no TOML"):
        unanswered("[readings\n", "answers.toml")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('kind = "reading"\ntitle = "The norm"', 'title = "The norm"', "is of '', which is no"),
        ("[answers]\nlargest_seed = 99\nchoices = { depth = [1, 2] }", "", r"needs \[answers\]"),
        ('kind = "written"', 'kind = "written"\nhidden = true', "cannot be hidden"),
        ('kind = "written"', 'kind = "spoken"', "checks.3.kind"),
    ],
)
def test_a_sheet_that_contradicts_itself_is_refused(
    halves: Assignment, old: str, new: str, says: str
) -> None:
    assert SHEET.count(old) == 1
    (halves.folder / "assignment.toml").write_text(SHEET.replace(old, new), encoding="utf-8")
    with pytest.raises(AssignmentError, match=says):
        Assignment(halves.folder)


def test_a_recording_that_fails_is_told_as_the_instructors_mistake(halves: Assignment) -> None:
    (halves.folder / "readings.py").write_text("def record(seed, configuration):\n    1 / 0\n")
    with pytest.raises(AssignmentError, match=r"readings.py: record\(7, .*ZeroDivisionError"):
        halves.recorded(7, {"depth": 2})


def test_it_is_verified_like_the_rest(halves: Assignment) -> None:
    found = verified(halves, runner=run_here)
    assert found.problems == []
    assert (found.known_wrong.right, found.known_wrong.total) == (3, 3)


def test_a_reading_mistake_that_is_not_what_it_says_is_a_problem(halves: Assignment) -> None:
    (halves.folder / "mistakes.toml").write_text(MISTAKES.replace("11449", "5000"))
    assert verified(Assignment(halves.folder), runner=run_here).problems == [
        "N1: it is not named; nothing is like it"
    ]


def test_students_are_told_the_same_as_is_graded(halves: Assignment, tmp_path: Path) -> None:
    folder = release(halves, tmp_path / "handed-out", run_here)
    assert handed(folder).checked(run_here).score == 0
    for name, text in halves.solution.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "answers.toml").write_text(ANSWERS.replace("ratio = 0.25", "ratio = 4"))
    told = {each.name: each for each in handed(folder).checked(run_here).checks}
    assert (told["norm"].points, told["ratio"].points, told["why"].points) == (2, 0, 0)
    assert told["ratio"].message.startswith("It is upside down.\nratio is 4 here; ")
    assert told["why"].status == "unread"


def test_no_format_tells_a_text_that_is_to_be_read_as_passed(
    halves: Assignment, judge: Judge
) -> None:
    results = list(judge(halves.solution["answers.toml"]).values())
    done = graded(halves, results, {}, "ada")
    told = ElementTree.fromstring(as_junit(done))
    assert (told.get("failures"), told.get("skipped")) == ("0", "1")
    told = as_gradescope(done)["tests"][3]
    assert "status" not in told
    assert told["score"] == 0 < told["max_score"]
    assert done.summary()["checks"][3] == {"name": "why", "passed": False, "diagnosis": None}


def test_the_command_is_content_with_texts_that_are_to_be_read(
    halves: Assignment, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = release(halves, tmp_path / "handed-out", run_here)
    for name, text in halves.solution.items():
        (folder / name).write_text(text, encoding="utf-8")
    assert main(["assignment", "check", str(folder)]) == 0
    said = capfd.readouterr().out
    assert "unread  0/3  why          Why\n" in said
    assert said.endswith("people read it later\n5 of 8 points, 3 to be read\n")
    (folder / ".assignment" / "readings.py").unlink()
    assert main(["assignment", "check", str(folder)]) == 1
    assert capfd.readouterr().err == "minires: .assignment: there is no readings.py\n"
    (folder / "answers.toml").write_text("seed = ", encoding="utf-8")
    assert main(["assignment", "check", str(folder)]) == 1
    assert "answers.toml cannot be read: Invalid value" in capfd.readouterr().out


def test_nothing_that_is_handed_in_beside_the_answers_counts(
    halves: Assignment, tmp_path: Path
) -> None:
    """Recordings, a readings.py that agrees with everything, a sheet of one's own."""
    wrong = ANSWERS.replace("norm = 107", "norm = 55")
    forged = RECORD.replace("100.0 + seed", "55.0")
    with zipfile.ZipFile(tmp_path / "eve.zip", "w") as archive:
        archive.writestr("halves.py", halves.solution["halves.py"])
        archive.writestr("answers.toml", wrong)
        archive.writestr("trace.json", json.dumps({"norm": 55.0}))
        for place in ("", ".assignment/", "halves/"):
            archive.writestr(f"{place}readings.py", forged)
            archive.writestr(f"{place}assignment.toml", SHEET.replace("points = 2", "points = 99"))
    (tmp_path / "in").mkdir()
    (tmp_path / "eve.zip").rename(tmp_path / "in" / "eve.zip")
    [eve] = grade(halves, submissions_in(tmp_path / "in"), tmp_path / "out", run_alone)
    assert (eve.score, eve.max_score) == (1, 8)
    told = {each.name: each.status for each in eve.checks}
    assert told == {
        "half_values": "passed",
        "norm": "failed",
        "ratio": "skipped",
        "why": "unread",
    }
