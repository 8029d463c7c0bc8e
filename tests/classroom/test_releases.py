"""New assignments, releases, bundles, and the zip for Gradescope."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from minires.classroom.assignment import Assignment, AssignmentError
from minires.classroom.autograder import _metadata
from minires.classroom.bundle import make_bundle, opened
from minires.classroom.classes.roster import Person
from minires.classroom.gradescope_zip import write_gradescope_zip
from minires.classroom.new_folder import new_assignment
from minires.classroom.release import handed
from minires.classroom.releases import make_release
from minires.classroom.running.child import load
from minires.classroom.verify import verified
from tests.classroom import schemas
from tests.classroom.assignments import run_here


def test_a_new_assignment_is_ready_to_be_given_out(tmp_path: Path) -> None:
    folder = new_assignment("residual-101", tmp_path / "residual-101")
    told = verified(Assignment(folder), runner=run_here)
    assert told.problems == []
    assert (told.name, told.checks) == ("residual-101", 2)
    counts = [(each.total, each.right) for each in (told.known_wrong, told.known_right)]
    assert [*counts, (told.diagnosis.total, told.diagnosis.right)] == [(2, 2), (1, 1), (1, 1)]


@pytest.mark.parametrize("name", ["", "Residual", "../x", "a b", "1st", "a" * 61])
def test_names_of_new_assignments_are_plain(tmp_path: Path, name: str) -> None:
    with pytest.raises(AssignmentError, match="is no name of an assignment"):
        new_assignment(name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_nothing_is_overwritten(small: Assignment, tmp_path: Path) -> None:
    for make in (lambda: new_assignment("a", tmp_path), lambda: make_release(small, tmp_path)):
        with pytest.raises(AssignmentError, match="is there already, and is not overwritten"):
            make()


def test_a_release_that_is_broken_off_leaves_nothing(
    small: Assignment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("minires.classroom.releases.release", stop)
    with pytest.raises(KeyboardInterrupt):
        make_release(small, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_students_get_no_solution_and_graders_all_they_need(
    small: Assignment, tmp_path: Path
) -> None:
    [students] = make_release(small, tmp_path / "out")
    assert students == tmp_path / "out" / "students" / "small"
    solution = "return g * cache"
    for path in (tmp_path / "out" / "students").rglob("*"):
        assert not path.is_file() or solution.encode() not in path.read_bytes()
    with opened(str(tmp_path / "out" / "grader")) as found:
        assert (found.name, found.points) == ("small", 5)
        assert found.solution == small.solution
    assert [path.name for path in (tmp_path / "out").iterdir()].count("grader") == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda at: (at / "cases.py").write_text("x = 1"), "cases.py is changed"),
        (lambda at: (at / "cases.py").unlink(), "cases.py is missing"),
        (lambda at: (at / "views.py").write_text("x = 1"), "views.py is new"),
        (lambda at: (at.parents[1] / "bundle.json").write_text("{}"), "is no bundle"),
        (lambda at: (at.parents[1] / "bundle.json").write_text("[1]"), "is no bundle"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_bundle_that_was_changed_is_refused(
    small: Assignment, tmp_path: Path, change: Any, words: str, zipped: bool
) -> None:
    bundle = make_bundle(small, tmp_path / "bundle")
    change(bundle / "assignment" / "small")
    if zipped:
        bundle = Path(shutil.make_archive(str(bundle), "zip", bundle))
    with pytest.raises(AssignmentError, match=words), opened(str(bundle)):
        pass


def test_a_bundle_may_be_a_zip_and_that_may_be_none(small: Assignment, tmp_path: Path) -> None:
    bundle = make_bundle(small, tmp_path / "bundle")
    for inside in (None, "bundle"):
        archive = shutil.make_archive(
            str(tmp_path / "a"), "zip", tmp_path if inside else bundle, inside
        )
        with opened(archive) as found:
            assert found.solution == small.solution
    (tmp_path / "none.zip").write_bytes(b"PK")
    with pytest.raises(AssignmentError, match="cannot be read"), opened(str(tmp_path / "none.zip")):
        pass
    with zipfile.ZipFile(tmp_path / "none.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bundle.json", "{}" * 100)
    data = bytearray((tmp_path / "none.zip").read_bytes())
    data[30 + len("bundle.json")] = 0xFF  # where what is compressed begins: no block is so
    (tmp_path / "none.zip").write_bytes(data)
    with pytest.raises(AssignmentError, match="cannot be read"), opened(str(tmp_path / "none.zip")):
        pass
    with zipfile.ZipFile(tmp_path / "slip.zip", "w") as archive:
        archive.writestr("../evil", "")
    with pytest.raises(AssignmentError, match="leads out"), opened(str(tmp_path / "slip.zip")):
        pass


def test_variants_differ_in_numbers_and_each_can_be_solved(
    small: Assignment, tmp_path: Path
) -> None:
    people = {id: Person(id) for id in ("ada", "bob")}
    folders = make_release(small, tmp_path / "out", people)
    assert [path.parent.name for path in folders] == ["ada", "bob"]
    [ada, bob] = (load(each / ".assignment" / "cases.npz")["relu_values"] for each in folders)
    assert ada["calls"][0][0].shape == bob["calls"][0][0].shape
    assert not np.array_equal(ada["calls"][0][0], bob["calls"][0][0])
    for folder in folders:
        (folder / "units.py").write_text(small.solution["units.py"])
        assert handed(folder).checked(run_here).score == 5


def test_the_zip_for_gradescope_has_what_the_platform_wants(
    small: Assignment, tmp_path: Path
) -> None:
    path = write_gradescope_zip(small, tmp_path / "a.zip")
    with zipfile.ZipFile(path) as archive:
        modes = {each.filename: each.external_attr >> 16 & 0o777 for each in archive.infolist()}
        texts = [archive.read(name).decode() for name in ("setup.sh", "run_autograder")]
    assert modes["run_autograder"] == modes["setup.sh"] == 0o755
    assert modes["bundle/assignment/small/cases.py"] == 0o644
    assert 'pip install --no-cache-dir numpy "minires==' in texts[0]
    for text in texts:
        assert "://" not in text
        assert str(Path.home()) not in text
    wheel = tmp_path / "minires-1-py3-none-any.whl"
    wheel.write_bytes(b"")
    with zipfile.ZipFile(write_gradescope_zip(small, path, wheel)) as archive:
        assert f"$source/{wheel.name}" in archive.read("setup.sh").decode()
        assert wheel.name in archive.namelist()
    with pytest.raises(AssignmentError, match="is no wheel"):
        write_gradescope_zip(small, path, tmp_path / "a b.whl")


@pytest.fixture
def autograder(small: Assignment, tmp_path: Path) -> Path:
    """A tree like Gradescope's, with an environment that has this Python."""
    if sys.platform != "linux":
        pytest.skip("submissions of others are graded on Linux")
    from minires.classroom.running.isolation import IsolationError, missing_guards

    try:
        missing_guards()
    except IsolationError as error:
        pytest.skip(str(error))
    root = tmp_path / "autograder"
    with zipfile.ZipFile(write_gradescope_zip(small, tmp_path / "a.zip")) as archive:
        archive.extractall(root / "source")
    (root / "submission").mkdir()
    shutil.copy(root / "source" / "run_autograder", root / "run_autograder")
    (root / "run_autograder").chmod(0o755)
    (tmp_path / "env" / "bin").mkdir(parents=True)
    python = tmp_path / "env" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return root


def run_autograder(root: Path) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Run it as Gradescope does; return what it said, and its result."""
    done = subprocess.run(
        [root / "run_autograder"],
        env={
            **os.environ,
            "AUTOGRADER_ROOT": str(root),
            "AUTOGRADER_ENVIRONMENT": str(root.parent / "env"),
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    told = json.loads((root / "results" / "results.json").read_text())
    jsonschema.validate(told, schemas.GRADESCOPE)
    return done, told


def test_the_autograder_grades_what_was_submitted(autograder: Path, small: Assignment) -> None:
    wrong = small.mistaken(small.mistakes["L4"])["units.py"]
    (autograder / "submission" / "units.py").write_text(wrong)
    metadata = {"id": 7, "assignment": {"total_points": "100.0"}}
    (autograder / "submission_metadata.json").write_text(json.dumps(metadata))

    done, told = run_autograder(autograder)

    assert (done.returncode, told["score"]) == (0, 2), done.stdout + done.stderr
    assert told["tests"][1]["tags"] == ["L4"]
    assert told["extra_data"] == {"submission": 7}
    assert "Gradescope has 100 points for it, and the assignment 5" in done.stdout
    assert (autograder / "source").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["", "[]", '{"assignment": 3}', '{"assignment": {}}', "\xff"])
def test_the_autograder_does_without_what_it_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "submission_metadata.json"
    assert _metadata(path).get("assignment", {}) == {}
    path.write_bytes(text.encode("latin-1"))
    assert _metadata(path).get("assignment", {}) == {}


def test_an_autograder_that_fails_says_so_and_gives_no_points(autograder: Path) -> None:
    (autograder / "source" / "bundle" / "bundle.json").write_text("{")
    done, told = run_autograder(autograder)
    assert done.returncode == 1
    assert (told["score"], told["output"][:18]) == (0, "The grader failed.")
    assert "is no bundle" in done.stdout

    shutil.rmtree(autograder.parent / "env")
    (autograder / "results" / "results.json").unlink()
    done, told = run_autograder(autograder)
    assert done.returncode != 0
    assert (told["score"], told["output"][:25]) == (0, "The grader did not start.")
