"""Grading a folder of submissions: each by itself, in any order, and gone on with after any end."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from minires.data.archives import read_member, require_plain
from minires.data.errors import DatasetDamaged
from minires.serialize.atomic import atomic_write

from .answers import Answer
from .assignment import Assignment, AssignmentError
from .judging import Prepared, judged, prepared
from .processes import Runner
from .results import GradedCheck, Submission, graded

__all__ = ["grade", "submissions_in"]

_GRADING = "grading.json"
_RESULTS = "results"
_MOST_BYTES = 16 * 2**20
_MOST_FILES = 1000


def submissions_in(folder: Path) -> list[Path]:
    """Return what was handed in: folders, .zip and .py files; each is called as its file is.

    Raises
    ------
    AssignmentError
        If there are none, or two of one name.
    """
    if not folder.is_dir():
        raise AssignmentError(f"there is no folder '{folder}' with submissions")
    found = [
        path
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".") and (path.is_dir() or path.suffix in (".py", ".zip"))
    ]
    if not found:
        raise AssignmentError(f"'{folder}' has no submissions: folders, .zip or .py files")
    names = [path.stem for path in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise AssignmentError(f"'{folder}' has two submissions that are called {twice[0]!r}")
    return found


def grade(
    assignment: Assignment,
    submissions: Sequence[Path],
    out: Path,
    runner: Runner,
    jobs: int = 1,
    told: Callable[[Submission], None] = lambda submission: None,
) -> list[Submission]:
    """Grade submissions, with numbers that nobody has seen before.

    Results are written one by one. Where some are there already, from a grading that was broken
    off, it is gone on with by the same numbers, and what is done is left.

    Parameters
    ----------
    assignment : Assignment
    submissions : sequence of Path
        As from `submissions_in`.
    out : Path
        Folder of the results.
    runner : Runner
        `minires.classroom.isolation.run_isolated`, for code of people one does not know.
    jobs : int
        How many are graded at a time.
    told : callable
        Hears of each.

    Returns
    -------
    list of Submission
        In the order of `submissions`.

    Raises
    ------
    AssignmentError
        If the folder has results of another assignment, or of another state of it.
    """
    seed = _seed(assignment, out)
    cases = prepared(assignment, seed)
    says = {each.id: each.says for each in assignment.mistakes.values()}

    def one(path: Path) -> Submission:
        target = out / _RESULTS / f"{path.stem}.json"
        done = _read(target)
        if done is None:
            done = _graded(assignment, cases, says, path, runner)
            with atomic_write(target, "w") as file:
                file.write(json.dumps(asdict(done), indent=1) + "\n")
        told(done)
        return done

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, submissions))


def _graded(
    assignment: Assignment,
    cases: dict[str, Prepared],
    says: dict[str, str],
    path: Path,
    runner: Runner,
) -> Submission:
    began = time.perf_counter()
    incidents: list[str] = []

    def noting(
        file: Path, function: str, calls: Sequence[tuple[Any, ...]], seconds: float
    ) -> Answer:
        answer = runner(file, function, calls, seconds)
        incidents.extend(fact for fact in answer.incidents if fact not in incidents)
        return answer

    with _unpacked(path, assignment.files, incidents) as folder:
        results = judged(assignment, _with_files(folder, assignment.files), cases, noting)
    seconds = round(time.perf_counter() - began, 3)
    return graded(assignment, results, says, path.stem, incidents, seconds)


@contextmanager
def _unpacked(path: Path, names: Sequence[str], incidents: list[str]) -> Iterator[Path]:
    """Yield a folder with the submission's plain files, apart from the others.

    A submission that is one file takes on the name that is asked for, if that is one.
    """
    with tempfile.TemporaryDirectory(prefix="minires-") as place:
        folder = Path(place) / "submission"
        folder.mkdir()
        if path.suffix == ".zip" and path.is_file():
            _unzip(path, folder, incidents)
        elif path.is_dir():
            _copy(path, folder, incidents)
        elif path.is_symlink():
            incidents.append("is a link, which is not followed")
        else:
            shutil.copyfile(path, folder / (names[0] if len(names) == 1 else path.name))
        yield folder


def _unzip(path: Path, folder: Path, incidents: list[str]) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            size = sum(each.file_size for each in members)
            if size > _MOST_BYTES or len(members) > _MOST_FILES:
                incidents.append("its archive holds more than a submission may")
                return
            for member in members:
                name = member.filename.replace("\\", "/")
                try:
                    require_plain(path, member)
                except DatasetDamaged:
                    incidents.append(f"its archive names {name[:100]!r}, which is left out")
                    continue
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(read_member(archive, member))
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, ValueError) as error:
        incidents.append(f"its archive cannot be read: {error}")


def _copy(path: Path, folder: Path, incidents: list[str]) -> None:
    size = count = 0
    for each in sorted(path.rglob("*")):
        name = each.relative_to(path)
        if each.is_symlink():
            incidents.append(f"{str(name)[:100]!r} is a link, which is not followed")
        elif each.is_file() and not any(p.is_symlink() for p in each.parents if p != path):
            size, count = size + each.stat().st_size, count + 1
            if size > _MOST_BYTES or count > _MOST_FILES:
                incidents.append("holds more than a submission may")
                return
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(each, folder / name)


def _with_files(folder: Path, names: Sequence[str]) -> Path:
    """Return the folder in which the files lie that are asked for, also where it is one deeper."""
    found = [folder, *sorted(path for path in folder.glob("*") if path.is_dir())]
    return max(found, key=lambda place: sum((place / name).is_file() for name in names))


def _seed(assignment: Assignment, out: Path) -> int:
    """Return the seed of a grading: a new one, or that of the one to be gone on with."""
    digest = _digest(assignment.folder)
    record = out / _GRADING
    if record.exists():
        was = json.loads(record.read_text(encoding="utf-8"))
        if (was["assignment"], was["digest"]) != (assignment.name, digest):
            raise AssignmentError(
                f"'{out}' has results of {was['assignment']}, in another state than"
                f" {assignment.name} is now; name another folder"
            )
        return int(was["seed"])
    (out / _RESULTS).mkdir(parents=True, exist_ok=True)
    seed = secrets.randbits(64)
    with atomic_write(record, "w") as file:
        told = {"assignment": assignment.name, "digest": digest, "seed": seed}
        file.write(json.dumps(told, indent=1) + "\n")
    return seed


def _digest(folder: Path) -> str:
    """Return a checksum of what decides about points."""
    tables = ("assignment.toml", "cases.py", "views.py", "readings.py", "mistakes.toml")
    total = hashlib.sha256()
    for path in [*(folder / name for name in tables), *sorted((folder / "source").glob("*.*"))]:
        total.update(path.name.encode() + (path.read_bytes() if path.exists() else b""))
    return total.hexdigest()


def _read(path: Path) -> Submission | None:
    if not path.exists():
        return None
    told = json.loads(path.read_text(encoding="utf-8"))
    checks = tuple(GradedCheck(**check) for check in told.pop("checks"))
    return Submission(
        **{**told, "checks": checks, "incidents": tuple(told["incidents"])},
    )
