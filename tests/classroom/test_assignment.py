"""Assignments: what a folder must have, what students get of it, and whether it is ready."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minires.classroom.assignment import Assignment, AssignmentError, Sheet
from minires.classroom.judging import judged, prepared
from minires.classroom.release import SHEET, handed, release
from minires.classroom.running.processes import Answer
from minires.classroom.verify import verified

from .assignments import run_here
from .conftest import SMALL


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Assignment]:
    """Change a file of the smallest assignment."""

    def changed(file: str, old: str, new: str) -> Assignment:
        folder = tmp_path / "small"
        shutil.copytree(SMALL, folder)
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new))
        return Assignment(folder)

    return changed


def test_the_smallest_assignment_is_ready(small: Assignment) -> None:
    told = verified(small)
    assert told.problems == []
    assert (told.known_wrong.total, told.known_wrong.right) == (3, 3)
    assert repr(small) == "Assignment('small', 2 checks, 5 points)"


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("assignment.toml", "points = 2", "points = -2", "checks.0.points: .* greater than"),
        ("assignment.toml", "points = 2", "points = 2\nscore = 2", "checks.0.score: extra inputs"),
        ("assignment.toml", 'function = "relu"', 'function = "elu"', "no function of it; .* relu"),
        ("assignment.toml", '["relu_values"]', '["others"]', "needs 'others', which .* before it"),
        ("assignment.toml", "points = 2", "points = 2\nhidden = true", "'relu_values', which stud"),
        ("assignment.toml", '"relu_backward_values"', '"relu_values"', "stands there twice"),
        ("assignment.toml", "title =", "title", "cannot be read"),
        ("assignment.toml", "units.py", "../units.py", "should be the name of a file"),
        ("assignment.toml", 'file = "units.py"', "", "relu is written in '', which should be"),
    ],
)
def test_a_sheet_that_contradicts_itself_is_told(
    changed: Callable[..., Assignment], file: str, old: str, new: str, words: str
) -> None:
    with pytest.raises(AssignmentError, match=words):
        changed(file, old, new)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('find = "x > 0"', 'find = "mask"', "L2: 'mask' stands [0-9]+ times"),
        ('find = "x > 0"', 'find = "x < 0"', "L2: 'x < 0' stands 0 times"),
        ('"L3"', '"L2"', "L2: stands there twice"),
        ('caught_by = "relu_values"', 'caught_by = "no"', "there is no check 'no'"),
    ],
)
def test_a_mistake_that_edits_nothing_or_too_much_is_told(
    changed: Callable[..., Assignment], old: str, new: str, words: str
) -> None:
    with pytest.raises(AssignmentError, match=words):
        _ = changed("mistakes.toml", old, new).mistakes


@pytest.mark.parametrize(
    ("file", "old", "new", "problem"),
    [
        (
            "cases.py",
            "    yield (np.array([0.0, -0.0, 1.0]),)\n",
            "",
            "L2: relu_values does not see",
        ),
        ("mistakes.toml", 'replace = "1.0 * cache"', 'replace = "(0 * g + 1) * cache"', ""),
        ("source/units.py", "    # BEGIN SOLUTION\n    mask", "    mask", "the starter passes"),
    ],
)
def test_what_makes_an_assignment_unready_is_told(
    changed: Callable[..., Assignment], file: str, old: str, new: str, problem: str
) -> None:
    assignment = changed(file, old, new)
    if file == "source/units.py":
        source = assignment.folder / file
        source.write_text(source.read_text().replace("    # END SOLUTION\n", "", 1))
    found = verified(assignment).problems
    assert any(problem in each for each in found) == bool(problem)
    assert bool(found) == bool(problem)


@pytest.fixture
def apart(changed: Callable[..., Assignment]) -> Assignment:
    """The smallest assignment, with a file for each function; the second is given out broken."""
    folder = changed(
        "assignment.toml", 'outputs = ["dx"]', 'outputs = ["dx"]\nfile = "back.py"\nbroken = "L4"'
    ).folder
    units = folder / "source" / "units.py"
    forward, backward = units.read_text().split("\n\n\ndef relu_backward")
    units.write_text(forward + "\n")
    (folder / "source" / "back.py").write_text(f"def relu_backward{backward}")
    (folder / "second").mkdir()
    (folder / "second" / "L4_numbers.py").write_text(
        "def relu_backward(g, cache):\n    return cache['mask'] * 1.0\n"
    )
    (folder / "two" / "L2_L4").mkdir(parents=True)
    (folder / "two" / "L2_L4" / "units.py").write_text(
        "def relu(x):\n    return (x >= 0) * x, {'mask': x >= 0}\n"
    )
    return Assignment(folder)


def test_an_assignment_may_have_several_files(apart: Assignment, tmp_path: Path) -> None:
    assert apart.files == ("units.py", "back.py")
    told = verified(apart)
    assert told.problems == []
    assert (told.known_wrong.right, told.diagnosis.right) == (3, 1)
    folder = release(apart, tmp_path / "a0")
    assert "1.0 * cache" in (folder / "back.py").read_text()
    submission = handed(folder).checked()
    assert [each.status for each in submission.checks] == ["failed", "skipped"]


def test_a_broken_program_is_told_by_the_mistake_it_has(apart: Assignment) -> None:
    toml = apart.folder / "assignment.toml"
    toml.write_text(toml.read_text().replace('needs = ["relu_values"]\n', ""))
    assert verified(Assignment(apart.folder)).problems == []
    toml.write_text(toml.read_text().replace('broken = "L4"', 'broken = "L9"'))
    with pytest.raises(AssignmentError, match="relu_backward is broken by 'L9', which is no known"):
        Assignment(apart.folder).starter()


def test_a_broken_program_gives_out_no_solution_beside_it(
    changed: Callable[..., Assignment],
) -> None:
    both = changed("assignment.toml", 'outputs = ["dx"]', 'outputs = ["dx"]\nbroken = "L4"')
    with pytest.raises(AssignmentError, match=r"units.py has .* relu, which is not, and would be"):
        both.starter()


def test_a_broken_program_gives_out_nothing_hidden(apart: Assignment) -> None:
    back = apart.folder / "source" / "back.py"
    back.write_text(f"{back.read_text()}\n\n# BEGIN HIDDEN\nsecret = 1\n# END HIDDEN\n")
    with pytest.raises(AssignmentError, match=r"back.py has .* something that is hidden"):
        Assignment(apart.folder).starter()


def test_a_variant_says_which_file_it_is(apart: Assignment) -> None:
    (apart.folder / "right").mkdir()
    (apart.folder / "right" / "other.py").write_text("")
    with pytest.raises(AssignmentError, match=r"right/other.py does not say which of 2 files"):
        apart.variants("right")


def test_two_mistakes_that_no_check_sees_are_told(apart: Assignment) -> None:
    units = apart.folder / "two" / "L2_L4" / "units.py"
    units.write_text(apart.solution["units.py"])
    assert "two/L2_L4: no check sees it" in verified(apart).problems


def test_a_second_implementation_that_no_check_sees_is_told(apart: Assignment) -> None:
    (apart.folder / "second" / "L4_right.py").write_text(apart.solution["back.py"])
    assert verified(apart, runner=run_here).problems == ["second/L4_right: no check sees it"]


def test_verifying_runs_each_program_once(apart: Assignment) -> None:
    asked = []

    def counting(file: Path, function: str, calls: Any, seconds: float) -> Answer:
        asked.append((file.read_bytes(), function, id(calls)))
        return run_here(file, function, calls, seconds)

    assert verified(apart, runner=counting).problems == []
    assert len(asked) == len(set(asked))


def test_a_program_is_run_again_if_one_that_it_imports_is_another(apart: Assignment) -> None:
    for name, factor in ("one", 1.0), ("two", 2.0):
        folder = apart.folder / "right" / name
        folder.mkdir(parents=True)
        (folder / "units.py").write_text(f"{apart.solution['units.py']}\n\nFACTOR = {factor}\n")
        back = apart.solution["back.py"].replace("g * cache", "units.FACTOR * g * cache")
        (folder / "back.py").write_text(f"import units\n\n\n{back}")
    [problem] = verified(apart).problems
    assert problem.startswith("right/two fails relu_backward_values")


def test_a_second_implementation_that_is_not_named_is_counted(
    changed: Callable[..., Assignment],
) -> None:
    assignment = changed("handout.md", "#", "#")
    second, right = assignment.folder / "second", assignment.folder / "right"
    second.mkdir()
    right.mkdir()
    source = assignment.solution["units.py"]
    (second / "L2_signs.py").write_text(source.replace("x > 0", "~(x < 0)"))
    (second / "L4_numbers.py").write_text(source.replace("g * cache", "2.0 * cache"))
    (second / "L3_other.py").write_text(source.replace("g * cache", "np.ones(10) * cache"))
    (right / "sign.py").write_text(source.replace("x > 0", "np.sign(x) == 1"))

    told = verified(assignment)

    assert (told.diagnosis.total, told.diagnosis.right, told.diagnosis.unknown) == (3, 1, 1)
    assert told.problems == ["second/L3_other: it is called L4"]
    assert (told.known_right.total, told.known_right.right) == (1, 1)


def test_students_get_no_solution(small: Assignment, tmp_path: Path) -> None:
    folder = release(small, tmp_path / "a0")
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sorted(path.name for path in files) == [
        *("assignment.json", "cases.npz", "explanations.json", "handout.md", "hints.json"),
        *("manifest.json", "units.py", "units.py"),
    ]
    for path in files:
        text = path.read_bytes().decode("latin-1")
        assert "np.where(mask" not in text
        assert "x >= 0" not in text
        assert 'cache["mask"]' not in text
    assert (folder / "units.py").read_text() == small.starter()["units.py"]


def test_a_released_folder_is_checked_without_the_assignment(
    small: Assignment, tmp_path: Path
) -> None:
    student = handed(release(small, tmp_path / "a0"))
    assert student.checked().score == 0
    (student.folder / "units.py").write_text(small.mistaken(small.mistakes["L4"])["units.py"])
    submission = student.checked()
    assert (submission.score, submission.max_score) == (2, 5)
    wrong = submission.checks[1]
    assert wrong.diagnosis == "L4"
    assert wrong.message.startswith("The incoming gradient is ignored.\nrelu_backward(array(10,)")
    (student.folder / "units.py").write_text(small.solution["units.py"])
    assert student.checked().score == 5


def test_hidden_checks_are_not_given_out(
    changed: Callable[..., Assignment], tmp_path: Path
) -> None:
    assignment = changed("assignment.toml", "points = 3", "points = 3\nhidden = true")
    student = handed(release(assignment, tmp_path / "a0"))
    assert list(student.sheet.checks) == list(student.cases) == ["relu_values"]
    assert student.sheet.name == "small"
    assert list(student.explanations) == list(student.hints) == ["L2", "L3"]  # L4 is to be found
    assert list(student.cases["relu_values"].mistakes) == ["L2", "L3"]


def test_a_folder_that_is_there_is_not_overwritten(small: Assignment, tmp_path: Path) -> None:
    (tmp_path / "a0").mkdir()
    with pytest.raises(AssignmentError, match="is there already"):
        release(small, tmp_path / "a0")


def test_students_know_how_many_points_are_hidden(tmp_path: Path) -> None:
    small = Assignment(SMALL)
    assert handed(release(small, tmp_path / "a0")).sheet.settings.hidden_points == 0
    first, *others = small.settings.checks
    hiding = first.model_copy(update={"hidden": True})
    needless = [each.model_copy(update={"needs": ()}) for each in others]
    small.settings = small.settings.model_copy(update={"checks": (hiding, *needless)})
    sheet = handed(release(small, tmp_path / "a1")).sheet
    assert (sheet.points, sheet.settings.hidden_points) == (3, 2)


def test_what_is_no_assignments_folder_is_told(small: Assignment, tmp_path: Path) -> None:
    with pytest.raises(AssignmentError, match=r"is no assignment's folder: it has no .assignment"):
        handed(tmp_path)


def test_a_file_that_is_gone_is_told(small: Assignment, tmp_path: Path) -> None:
    folder = release(small, tmp_path / "a0")
    (folder / "units.py").unlink()
    [failed, *_] = handed(folder).checked().checks
    assert "there is no units.py" in failed.message


def test_a_view_says_what_is_compared(changed: Callable[..., Assignment]) -> None:
    assignment = changed("handout.md", "#", "#")
    view = "def view_relu(arguments, result):\n    return abs(result[0]), result[1]\n"
    (assignment.folder / "views.py").write_text(view)
    y = Sheet(assignment.folder).view("relu", (), (np.array([-1.0]), {}))[0]
    assert y.tolist() == [1.0]


def test_what_is_not_to_be_written_in_is_seen_to_be_changed(
    small: Assignment, tmp_path: Path
) -> None:
    student = handed(release(small, tmp_path / "a0"))
    (student.folder / "units.py").write_text("")
    (student.folder / "notes.txt").write_text("mine")
    assert student.changed() == []
    (student.folder / "handout.md").unlink()
    (student.folder / SHEET / "hints.json").write_text("{}")
    assert student.changed() == [".assignment/hints.json", "handout.md"]
    assert student.starter("units.py") == small.starter()["units.py"]


@pytest.mark.parametrize("name", ["cases.npz", "hints.json", "explanations.json", "manifest.json"])
@pytest.mark.parametrize("data", [None, b"", b"[1, 2]", b"PK\x03\x04 and so on"])
def test_a_damaged_folder_is_told(
    small: Assignment, tmp_path: Path, name: str, data: bytes | None
) -> None:
    path = release(small, tmp_path / "a0", run_here) / SHEET / name
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(AssignmentError, match=r"\.assignment' is damaged .* start the assignment"):
        handed(tmp_path / "a0")


def test_the_first_hint_is_on_the_mistake(changed: Callable[..., Assignment]) -> None:
    assignment = changed("mistakes.toml", 'id = "L3"', 'id = "L3"\nhint = "Whose array is it?"')
    student = handed(release(assignment, assignment.folder / "a0", run_here))
    assert student.hint("relu_values", 1, "L3") == "Whose array is it?"
    assert student.hint("relu_values", 1, "L2") == "What is max(-1, 0)?"
    assert student.hint("relu_backward_values", 1, "L2") == "What is max(-1, 0)?"
    assert student.hint("relu_values", 2, "L3") == "NumPy compares whole arrays."
    assert student.hint("relu_values", 1) == "What is max(-1, 0)?"


@pytest.mark.parametrize("result", ["{'one': 1.0}", "['one', 'two', 'three']", "[None]"])
def test_a_view_of_what_are_no_numbers_ends_nothing(
    small: Assignment, changed: Callable[..., Assignment], tmp_path: Path, result: str
) -> None:
    folder = changed("assignment.toml", "points = 3", "points = 3").folder
    (folder / "views.py").write_text(
        "import numpy as np\n\ndef view_relu_backward(arguments, result):\n"
        "    return np.asarray(result)\n"
    )
    assignment = Assignment(folder)
    text = f"{small.solution['units.py']}\ndef relu_backward(g, cache):\n    return {result}\n"
    (tmp_path / "units.py").write_text(text)
    cases = prepared(assignment, 1, run_here)
    told = judged(assignment, tmp_path, cases, run_here)[1]
    assert told.says.endswith("dx should be of numbers alone")
    assert (told.status, told.mistake) == ("failed", None)


@pytest.mark.parametrize("output", ["shared_gradient", "errors", "ended_at", "changed"])
def test_an_output_may_be_called_like_what_is_seen_beside_it(
    changed: Callable[..., Assignment], tmp_path: Path, output: str
) -> None:
    assignment = changed("assignment.toml", '"dx"', f'"{output}"')
    wrong = assignment.mistaken(assignment.mistakes["L4"])["units.py"]
    (tmp_path / "units.py").write_text(wrong)
    told = judged(assignment, tmp_path, prepared(assignment, 1, run_here), run_here)[1]
    assert (told.status, told.mistake) == ("failed", "L4")


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("cases.py", "yield (rng.standard_normal((3, 5)),)", "yield rng.ones", "AttributeError"),
        (
            "cases.py",
            "yield (rng.standard_normal((3, 5)),)",
            "yield 1",
            r"as \(x,\); it yields a int",
        ),
        ("cases.py", "import numpy as np", "import numpy as", r"small/cases.py, line 1: invalid"),
        (
            "cases.py",
            "import numpy as np",
            "import nunpy as np",
            "cases.py: No module named 'nunpy",
        ),
        (
            "mistakes.toml",
            'replace = "x >= 0"',
            'replace = "x >= ("',
            "L2: with its edits units.py",
        ),
    ],
)
def test_slips_of_authors_are_told_in_a_sentence(
    changed: Callable[..., Assignment], file: str, old: str, new: str, words: str
) -> None:
    with pytest.raises(AssignmentError, match=words):
        verified(changed(file, old, new), runner=run_here)


def test_without_a_handout_nothing_is_ready(changed: Callable[..., Assignment]) -> None:
    assignment = changed("handout.md", "#", "#")
    (assignment.folder / "handout.md").unlink()
    problems = verified(assignment, runner=run_here).problems
    assert problems == ["there is no handout.md, which students get"]


def test_text_that_is_not_in_utf_8_is_told(changed: Callable[..., Assignment]) -> None:
    folder = changed("handout.md", "#", "#").folder
    (folder / "assignment.toml").write_bytes(b'title = "caf\xe9"')
    with pytest.raises(AssignmentError, match=r"small/assignment.toml is not in UTF-8"):
        Assignment(folder)
