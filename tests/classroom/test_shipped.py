"""What comes with minires: students' folders, up to date and without solutions."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minires.classroom import shipped
from minires.classroom.assignment import AssignmentError
from minires.classroom.packing import contents, pack
from minires.classroom.release import SHEET, handed, told_mistakes
from minires.classroom.running.child import load

from .assignments import run_here

PACKED = sorted(path.stem for path in shipped._HANDED_OUT.glob("*.zip"))


def test_every_assignment_is_packed() -> None:
    assert shipped.names() == PACKED


@pytest.mark.parametrize("name", PACKED)
def test_what_is_packed_tells_what_the_assignment_says_now(name: str, tmp_path: Path) -> None:
    """Otherwise: python -m minires.classroom.shipped."""
    folder = tmp_path / name
    shipped.start(name, folder)
    assignment = shipped.assignment_of(name)
    assert {each: (folder / each).read_text() for each in assignment.files} == assignment.starter()
    assert (folder / "handout.md").read_text() == (assignment.folder / "handout.md").read_text()
    told = json.loads((folder / SHEET / "explanations.json").read_text())
    assert told == {name: each.says for name, each in told_mistakes(assignment).items()}
    started = handed(folder)
    assert started.changed() == []
    assert {each: started.starter(each) for each in assignment.files} == assignment.starter()
    own = {name: each.hint for name, each in told_mistakes(assignment).items() if each.hint}
    assert started.hints | own == started.hints
    sheet = started.sheet
    assert sheet.functions == assignment.functions
    assert sheet.checks == {n: each for n, each in assignment.checks.items() if not each.hidden}


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", PACKED)
def test_what_is_packed_has_the_numbers_of_the_assignment(name: str, tmp_path: Path) -> None:
    shipped.give_out([name], tmp_path, run_here)
    made, there = ({}, {})
    for files, path in (made, tmp_path), (there, shipped._HANDED_OUT):
        with zipfile.ZipFile(path / f"{name}.zip") as archive:
            archive.extractall(tmp_path / str(id(files)))
        files |= contents(tmp_path / str(id(files)))
    assert made.keys() == there.keys()
    cases = f"{SHEET}/cases.npz"
    assert {n for n in made if made[n] != there[n]} <= {cases, f"{SHEET}/manifest.json"}
    _alike(*(load(tmp_path / str(id(files)) / cases) for files in (made, there)))


def _alike(a: Any, b: Any) -> None:
    if isinstance(a, dict):
        assert list(a) == list(b)
        a, b = list(a.values()), list(b.values())
    if isinstance(a, list | tuple):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            _alike(one, other)
    elif isinstance(a, float | np.ndarray):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)
    else:
        assert a == b


def test_without_the_repository_assignments_are_started_and_solutions_are_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shipped, "_FOLDER", tmp_path / "nothing")
    assert shipped.names() == PACKED
    shipped.start("a2", tmp_path / "a2")
    assert handed(tmp_path / "a2").sheet.name == "a2_convolution"
    assert [shipped.sheet_of(name).name for name in PACKED] == PACKED
    with pytest.raises(AssignmentError, match="solution of a2_convolution does not come with the"):
        shipped.assignment_of("a2")


def test_a_folder_that_is_there_is_left(tmp_path: Path) -> None:
    (tmp_path / "a2").mkdir()
    with pytest.raises(AssignmentError, match="is there already"):
        shipped.start("a2", tmp_path / "a2")
    assert list((tmp_path / "a2").iterdir()) == []


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_wheel_has_what_students_need_and_no_solution(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), "."]
    subprocess.run(command, cwd=root, check=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert [name for name in names if "classroom/assignments/" in name] == []
    assert {f"minires/classroom/handed_out/{name}.zip" for name in PACKED} <= set(names)


def test_what_is_packed_again_is_the_same(tmp_path: Path) -> None:
    files = {"b/run": b"#!/bin/sh", "a.txt": b"a"}
    for name in "12":
        pack(tmp_path / name, files, executable=("b/run",))
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    with zipfile.ZipFile(tmp_path / "1") as archive:
        assert {each: archive.read(each) for each in archive.namelist()} == files
        assert [each.external_attr >> 16 for each in archive.infolist()] == [0o100644, 0o100755]
