"""Grading a folder of submissions."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minires.classroom.assignment import Assignment, AssignmentError
from minires.classroom.changes import affected, check_digests, with_checks
from minires.classroom.grading import grade, grading_in, read_record, recorded_submissions
from minires.classroom.judging import prepared
from minires.classroom.results import Submission
from minires.classroom.running.processes import run_alone
from minires.classroom.shipped import assignment_of
from minires.classroom.submitted import (
    assignment_named_in,
    id_of,
    not_looked_at,
    submissions_in,
)

from .assignments import run_here

pytestmark = pytest.mark.long  # whole gradings, in processes of their own


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
    assert graded[3].checks[0].message == "there is no units.py"
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
    with pytest.raises(AssignmentError, match="in another state than it is in now"):
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
    (tmp_path / "ada.py").rename(tmp_path / "ADA.py")
    with pytest.raises(AssignmentError, match="two submissions that are called 'ADA'"):
        submissions_in(tmp_path)


def test_submissions_say_of_which_assignment_they_are(small: Assignment, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "ada" / ".assignment").mkdir(parents=True)
    (folder / "ada" / ".assignment" / "assignment.json").write_text('{"name": "a2_convolution"}')
    (folder / "bob.py").write_text("")
    _zipped(folder / "cy.zip", {"a2/manifest.json": '{"assignment": "a2_convolution"}'})
    assert assignment_named_in(submissions_in(folder)) == "a2_convolution"
    # The folder of one student, as it is, is one submission.
    assert submissions_in(folder / "ada") == [folder / "ada"]

    _zipped(folder / "dan.zip", {"manifest.json": '{"assignment": "a1_tape"}'})
    with pytest.raises(AssignmentError, match="is of 2 assignments; name it with --assignment"):
        assignment_named_in(submissions_in(folder))


@pytest.mark.parametrize(
    "said", ['{"assignment": "/etc"}', '{"assignment": 3}', "[", '["a2_convolution"]', "[" * 9999]
)
def test_no_submission_names_what_does_not_come_with_minires(tmp_path: Path, said: str) -> None:
    _zipped(tmp_path / "eve.zip", {"manifest.json": said})
    with pytest.raises(AssignmentError, match="name it with --assignment"):
        assignment_named_in([tmp_path / "eve.zip"])


def test_what_has_changed_is_graded_again_and_nothing_else(
    small: Assignment, submissions: Path, tmp_path: Path
) -> None:
    paths, out = submissions_in(submissions)[:2], tmp_path / "out"
    grade(small, paths, out, run_alone)
    seed = read_record(out).seed
    (submissions / "bob" / "units.py").write_text(small.solution["units.py"])
    called: list[Path] = []

    def noting(file: Path, function: str, calls: Any, seconds: float) -> Any:
        called.append(file)
        return run_alone(file, function, calls, seconds)

    graded = grade(small, paths, out, noting)

    assert [each.score for each in graded] == [5, 5]
    assert len(called) == 2  # both checks of bob's
    assert read_record(out).seed == seed
    assert [each.score for each in recorded_submissions(out)] == [5, 5]


def test_of_an_assignment_that_has_changed_the_checks_that_have_are_made_again(
    small: Assignment, submissions: Path, tmp_path: Path
) -> None:
    out, folder = tmp_path / "out", tmp_path / "small"
    shutil.copytree(small.folder, folder)
    paths = submissions_in(submissions)[:2]
    sheet, cases = folder / "assignment.toml", folder / "cases.py"
    sheet.write_text(
        sheet.read_text()
        + '[[checks]]\nname = "alone"\nfunction = "other"\ntitle = "t"\npoints = 0\n'
        'hints = ["1", "2", "3"]\n[[functions]]\nname = "other"\noutputs = ["x"]\n'
    )
    cases.write_text(cases.read_text() + "\n\ndef alone(rng, reference):\n    yield (1.0,)\n")
    source = folder / "source" / "units.py"
    source.write_text(source.read_text() + "\n\ndef other(x):\n    return x\n")
    grade(Assignment(folder), paths, out, run_alone)
    seed = read_record(out).seed
    changed = sheet.read_text().replace("points = 3", "points = 4")
    sheet.write_text(re.sub('title = ".*"', 'title = "New"', changed, count=1))
    called: list[str] = []

    def noting(file: Path, function: str, *calls: Any) -> Any:
        called.append(function)
        return run_alone(file, function, *calls)

    with pytest.raises(AssignmentError, match="in another state than it is in now"):
        grade(Assignment(folder), paths, out, run_alone)
    graded = grade(Assignment(folder), paths, out, noting, again=True)

    assert [each.score for each in graded] == [6, 2]
    assert [len(each.checks) for each in graded] == [3, 3]
    assert "other" not in called
    assert called.count("relu_backward") == 2

    called.clear()
    grade(Assignment(folder), paths, out, noting, again=True)
    assert called == []
    assert (read_record(out).seed, read_record(out).title) == (seed, "New")


@pytest.mark.parametrize(
    ("make", "fact"),
    [
        (lambda path: path.write_bytes(b"PK no archive"), "its archive cannot be read"),
        (
            lambda path: _zipped(path, {f"{i}.py": "" for i in range(1001)}),
            "its archive holds more than a submission may",
        ),
        (lambda path: _zipped(path, {"/etc/x.py": ""}), "its archive names '/etc/x.py'"),
        (lambda path: _zipped(path, {"a/" * 960 + "x.py": ""}), "its archive names 'a/a/a/"),
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


def test_checks_that_are_made_again_bring_those_along_that_they_need(small: Assignment) -> None:
    both = {"relu_values", "relu_backward_values"}
    assert affected(small, []) == set()
    assert affected(small, ["relu_values"]) == both  # it needs it
    assert affected(small, ["relu_backward_values"]) == both  # it is needed
    tape = assignment_of("a1")
    part = with_checks(tape, affected(tape, ["residual_vjp_values"]))
    assert list(part.checks) == [check.name for check in part.settings.checks]
    assert list(part.checks) == ["residual_vjp_values"]
    assert len(affected(tape, ["unbroadcast_ones"])) == 8  # both of it, and what needs them
    assert "topological_order_residual" in affected(tape, ["backward_chain"])
    for check in tape.checks.values():  # what tells together which mistake it is
        again = {tape.checks[name].function for name in affected(tape, [check.name])}
        whole = {each.name for each in tape.checks.values() if each.function in again}
        assert affected(tape, [check.name]) == whole
    assert len(tape.checks) > 8


def test_a_damaged_archive_ends_no_grading(small: Assignment, tmp_path: Path) -> None:
    _zipped(tmp_path / "ada.zip", {"units.py": small.solution["units.py"]})
    with zipfile.ZipFile(tmp_path / "eve.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("units.py", small.solution["units.py"])
    data = bytearray((tmp_path / "eve.zip").read_bytes())
    data[30 + len("units.py")] = 0xFF  # where what is compressed begins: no block is of this kind
    (tmp_path / "eve.zip").write_bytes(data)
    ada, eve = grade(small, submissions_in(tmp_path), tmp_path / "out", run_alone)
    assert (ada.score, eve.score) == (5, 0)
    assert eve.incidents[0].startswith("its archive cannot be read")


def test_submissions_are_called_as_they_are_whatever_their_names(tmp_path: Path) -> None:
    for name in ("ada.lovelace", "ada.byron", "ada@x.org"):
        (tmp_path / name).mkdir()
    (tmp_path / "bob.ZIP").touch()
    (tmp_path / f"{'é' * 120}.py").touch()
    (tmp_path / "cafe\u0301.py").touch()
    (tmp_path / "dan.rar").touch()
    names = [id_of(path) for path in submissions_in(tmp_path)]
    assert names[:5] == ["ada.byron", "ada.lovelace", "ada@x.org", "bob", "café"]
    assert len(names[5].encode()) < 220
    assert not_looked_at(tmp_path) == ["dan.rar"]


def test_results_that_lie_among_what_was_handed_in_are_no_submission(
    small: Assignment, submissions: Path
) -> None:
    out = submissions / "grades"
    grade(small, submissions_in(submissions, but=out)[:1], out, run_alone)
    names = [path.name for path in submissions_in(submissions, but=out)]
    assert names == ["ada.py", "bob", "cy.zip", "dan"]


@pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be locked there")
def test_two_gradings_do_not_share_a_folder(tmp_path: Path) -> None:
    with (
        grading_in(tmp_path / "out"),
        pytest.raises(AssignmentError, match="another grading is at work"),
        grading_in(tmp_path / "out"),
    ):
        pass
    with grading_in(tmp_path / "out"):
        pass


def test_no_two_submissions_have_one_result(
    small: Assignment, submissions: Path, tmp_path: Path
) -> None:
    with pytest.raises(AssignmentError, match="two submissions are called the same"):
        grade(
            *(small, submissions_in(submissions), tmp_path / "out", run_alone),
            name_of=lambda id: "s-1",
        )


def test_a_result_of_another_version_is_told(
    small: Assignment, submissions: Path, tmp_path: Path
) -> None:
    path = tmp_path / "out" / "results" / "ada.json"
    grade(small, submissions_in(submissions)[:1], tmp_path / "out", run_alone)
    path.write_text(path.read_text().replace('"hidden"', '"secret"'))
    with pytest.raises(AssignmentError, match=r"ada.json' is no result that this version"):
        grade(small, submissions_in(submissions)[:1], tmp_path / "out", run_alone)


def test_what_may_be_chosen_decides_about_answers_and_nothing_else() -> None:
    training = assignment_of("a5")
    before = check_digests(training, {})
    answers = training.settings.answers
    assert answers is not None
    training.settings = training.settings.model_copy(
        update={"answers": answers.model_copy(update={"largest_seed": 3})}
    )
    after = check_digests(training, {})
    changed = {training.checks[name].kind for name in after if after[name] != before[name]}
    assert changed == {"reading", "written"}


def test_what_the_grader_cannot_do_with_one_is_no_other_ones_harm(
    small: Assignment, tmp_path: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("ada", "bob", "cy"):
        (folder / f"{name}.py").write_text(small.solution["units.py"] + f"# {name}\n")

    def runner(file: Path, *asked: Any, **also: Any) -> Any:
        if "# bob" in file.read_text():
            raise RecursionError("too deep")
        return run_alone(file, *asked, **also)

    with pytest.raises(AssignmentError, match=r"1 of 3 submissions could not .* bob: too deep;"):
        grade(small, submissions_in(folder), out, runner)
    assert [each.id for each in recorded_submissions(out)] == ["ada", "cy"]
    assert len(grade(small, submissions_in(folder), out, run_alone)) == 3


def test_a_zip_that_lies_alone_in_a_folder_is_the_submission(
    small: Assignment, tmp_path: Path
) -> None:
    folder = tmp_path / "in" / "Ada Lovelace_123_assignsubmission_file"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "units.zip", "w") as archive:
        archive.writestr("units.py", small.solution["units.py"])
    [graded] = grade(small, submissions_in(tmp_path / "in"), tmp_path / "out", run_alone)
    assert (graded.id, graded.score) == (folder.name, 5)
