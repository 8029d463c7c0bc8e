"""Grading a class: synthetic submissions, drawn from what is known to be right and to be wrong."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from minires.classroom.assignment import Assignment
from minires.classroom.shipped import assignment_of, names

SUBMISSIONS = 200
JOBS = 2


def classroom(count: int = SUBMISSIONS) -> Iterator[tuple[str, Any]]:
    """Yield what each assignment's part of a class took to be graded, and all together."""
    yield "load", {"last minute": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory(prefix="minires-") as place:
        folders = synthetic(Path(place), count)
        seconds, graded = 0.0, 0
        for name, folder in folders.items():
            began = time.perf_counter()
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "minires", "class", "grade", str(folder), "--json"),
                    *("--assignment", name, "--jobs", str(JOBS)),
                    *("--out", str(Path(place) / f"{name}-grades")),
                ],
                capture_output=True,
                text=True,
                check=True,
            )
            took = time.perf_counter() - began
            told = json.loads(done.stdout)["submissions"]
            seconds, graded = seconds + took, graded + len(told)
            yield name, {"submissions": len(told), "seconds": took}
    yield "all", {"submissions": graded, "seconds": seconds, "jobs": JOBS}


def synthetic(
    place: Path, count: int, seed: int = 0, of: Sequence[str] | None = None
) -> dict[str, Path]:
    """Make submissions in a folder for each assignment; return the folders by assignments' names.

    Each is a solution, another right one, the starter, a known mistake, the same in another style,
    or a file with two mistakes: as often as there are of these. Some are zips.
    """
    rng = random.Random(seed)
    assignments = [assignment_of(name) for name in of or names()]
    files = {each.name: _files(each) for each in assignments}
    folders: dict[str, Path] = {}
    for number in range(count):
        name = assignments[number % len(assignments)].name
        folders[name] = place / name
        folders[name].mkdir(parents=True, exist_ok=True)
        texts = rng.choice(files[name])
        id = f"student-{number:03d}"
        if number % 3:
            (folders[name] / id).mkdir()
            for file, text in texts.items():
                (folders[name] / id / file).write_text(text, encoding="utf-8")
        else:
            with zipfile.ZipFile(folders[name] / f"{id}.zip", "w") as archive:
                for file, text in texts.items():
                    archive.writestr(file, text)
    return folders


def _files(assignment: Assignment) -> list[dict[str, str]]:
    """Return the files of everything that is known of an assignment."""
    found = [assignment.solution, assignment.starter()]
    found += [assignment.mistaken(each) for each in assignment.mistakes.values()]
    for kind in ("right", "second", "two"):
        found += assignment.variants(kind).values()
    return found
