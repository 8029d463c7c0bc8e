"""What the benchmark of grading has graded."""

from __future__ import annotations

import zipfile
from pathlib import Path

from benchmarks.classroom import synthetic
from minires.classroom.shipped import assignment_of


def contents(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    found[f"{path.stem}/{name}"] = archive.read(name).decode()
        else:
            for file in path.iterdir():
                found[f"{path.name}/{file.name}"] = file.read_text(encoding="utf-8")
    return found


def test_synthetic_submissions_are_the_same_each_time_and_differ_from_each_other(
    tmp_path: Path,
) -> None:
    of = ("a1_tape", "a2_convolution")
    first, again = (synthetic(tmp_path / name, 20, of=of) for name in ("one", "two"))
    assert list(first) == list(of)
    for name in of:
        found = contents(first[name])
        assert found == contents(again[name])
        assert len(found) == 10
        assert len(set(found.values())) > 5
        assert {path.split("/")[1] for path in found} == set(assignment_of(name).files)
