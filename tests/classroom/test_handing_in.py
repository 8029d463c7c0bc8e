"""What is handed in: the same zip each time, and refused where something is missing."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from minires.classroom.assignment import Assignment, AssignmentError
from minires.classroom.grading import grade
from minires.classroom.handing_in import MOST_BYTES, hand_in
from minires.classroom.release import Handed, handed, release
from minires.classroom.running.processes import run_alone

from .assignments import run_here


@pytest.fixture
def started(small: Assignment, tmp_path: Path) -> Handed:
    return handed(release(small, tmp_path / "a0", run_here))


def _write(started: Handed, text: str | bytes) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    (started.folder / "units.py").write_bytes(data)


def test_the_same_files_make_the_same_zip(
    started: Handed, small: Assignment, tmp_path: Path
) -> None:
    _write(started, small.mistaken(small.mistakes["L4"])["units.py"].replace("\n", "\r\n"))
    told = hand_in(started, tmp_path / "one.zip", run_here)
    assert (told.score, told.max_score) == (2, 5)

    # Elsewhere, later, by another name.
    shutil.copytree(started.folder, tmp_path / "moved", copy_function=shutil.copyfile)
    hand_in(handed(tmp_path / "moved"), tmp_path / "two.zip", run_here)

    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.namelist() == ["manifest.json", "units.py"]
        data = archive.read("units.py")
        manifest = json.loads(archive.read("manifest.json"))
    assert data == (started.folder / "units.py").read_bytes()
    assert manifest["assignment"] == "small"
    assert manifest["sha256"] == {"units.py": hashlib.sha256(data).hexdigest()}
    assert manifest["score_here"] == {"points": 2, "max": 5, "counts": False}
    assert manifest["versions"].keys() == {"minires", "numpy", "python", "system"}
    assert str(tmp_path) not in json.dumps(manifest)


def test_a_change_of_what_was_given_out_is_told_in_it(started: Handed, tmp_path: Path) -> None:
    (started.folder / "handout.md").write_text("other")
    hand_in(started, tmp_path / "one.zip", run_here)
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert json.loads(archive.read("manifest.json"))["changed"] == ["handout.md"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "there is no .*units.py', which is to be handed in"),
        ("def relu(x):\n    return x", "has no function relu_backward; leave in"),
        (
            "class A:\n    def relu(x): ...\n    def relu_backward(x): ...",
            "no function relu, relu_",
        ),
        ("def relu(x)\n", "units.py' is no Python: line 1: expected ':'"),
        ("x = '\0'", "is no Python: source code .*null bytes"),
        (b"x = '\xe9'", "is no Python: .*utf-8"),
        ("(" * 100_000, "is no Python: .*too many nested"),
        ("-" * 100_000 + "1", "is no Python: .*"),
        ("#" * (MOST_BYTES + 1), "has 1,048,577 bytes; 1,048,576 can be handed in"),
    ],
)
def test_what_lacks_something_is_refused_in_a_sentence(
    started: Handed, tmp_path: Path, text: str | bytes | None, words: str
) -> None:
    if text is None:
        (started.folder / "units.py").unlink()
    else:
        _write(started, text)
    with pytest.raises(AssignmentError, match=words):
        hand_in(started, tmp_path / "one.zip", run_here)
    assert not (tmp_path / "one.zip").exists()


@pytest.mark.parametrize(
    "text",
    [
        "from units import relu, relu_backward\n",
        "if True:\n    relu = relu_backward = None\n",
        "try:\n    def relu(x): ...\nfinally:\n    from back import back as relu_backward\n",
        "raise SystemExit\ndef relu(x): ...\ndef relu_backward(x): ...\n",
    ],
)
def test_functions_may_be_there_in_any_way(started: Handed, tmp_path: Path, text: str) -> None:
    _write(started, text)
    assert hand_in(started, tmp_path / "one.zip", run_here).score == 0


def test_what_is_handed_in_can_be_graded(
    started: Handed, small: Assignment, tmp_path: Path
) -> None:
    _write(started, small.solution["units.py"])
    hand_in(started, tmp_path / "small.zip", run_here)
    [graded] = grade(small, [tmp_path / "small.zip"], tmp_path / "grades", run_alone)
    assert (graded.id, graded.score, graded.incidents) == ("small", 5, ())
