"""What students are given: files to write in, the handout, and data to check it by."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from .assignment import Assignment, AssignmentError, Sheet
from .child import dump, load
from .judging import CheckResult, Prepared, judged, prepared
from .processes import Runner, run_alone
from .results import Submission, graded

__all__ = ["SHEET", "Handed", "handed", "release"]

# Beside the student's file; what is in it tells inputs and right results, and no solution.
SHEET = ".assignment"


def release(assignment: Assignment, folder: Path, runner: Runner = run_alone) -> Path:
    """Make the folder that students get.

    It has the starter, the handout, and in a folder of its own the checks that are not hidden: with
    what the functions are called, what they should return, and fingerprints of known mistakes.

    Parameters
    ----------
    assignment : Assignment
    folder : Path
        Must not be there yet.
    runner : Runner

    Raises
    ------
    AssignmentError
        If the starter holds a part of a solution; if the folder is there.
    """
    if folder.exists():
        raise AssignmentError(f"'{folder}' is there already, and is not overwritten")
    starter = assignment.starter()
    shown = [check for check in assignment.settings.checks if not check.hidden]
    settings = assignment.settings.model_copy(
        update={"name": assignment.name, "checks": tuple(shown)}
    )
    cases = prepared(assignment, settings.seed, runner)
    folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.absolute().parent, prefix=".minires-") as place:
        made = Path(place) / folder.name
        sheet = made / SHEET
        sheet.mkdir(parents=True)
        for name, text in starter.items():
            _write(made / name, text)
        shutil.copyfile(assignment.folder / "handout.md", made / "handout.md")
        _write(sheet / "assignment.json", settings.model_dump_json(indent=1) + "\n")
        says = {each.id: each.says for each in assignment.mistakes.values()}
        _write(sheet / "explanations.json", json.dumps(says, indent=1) + "\n")
        dump(
            sheet / "cases.npz",
            {each.name: _plain(cases[each.name]) for each in shown if each.name in cases},
        )
        for name in ("views.py", "readings.py"):
            if (assignment.folder / name).exists():
                shutil.copyfile(assignment.folder / name, sheet / name)
        made.replace(folder)
    return folder


class Handed(NamedTuple):
    """An assignment's folder, as a student has it.

    Attributes
    ----------
    sheet : Sheet
    cases : dict of str to Prepared
        By the names of the checks.
    explanations : dict of str to str
        By the ids of mistakes.
    folder : Path
        With the files that the student writes in.
    """

    sheet: Sheet
    cases: dict[str, Prepared]
    explanations: dict[str, str]
    folder: Path

    def checked(self, runner: Runner = run_alone) -> Submission:
        """Make all checks of the student's files."""
        results: list[CheckResult] = judged(self.sheet, self.folder, self.cases, runner)
        return graded(self.sheet, results, self.explanations, self.folder.absolute().name)


def handed(folder: Path) -> Handed:
    """Read an assignment's folder, as a student has it.

    Raises
    ------
    AssignmentError
        If it is none.
    """
    place = folder / SHEET
    if not place.is_dir():
        raise AssignmentError(f"'{folder}' is no assignment's folder: it has no {SHEET}")
    sheet = Sheet(place)
    cases = {name: Prepared(**case) for name, case in load(place / "cases.npz").items()}
    explanations = json.loads((place / "explanations.json").read_text(encoding="utf-8"))
    return Handed(sheet, cases, explanations, folder)


def _plain(case: Prepared) -> dict[str, Any]:
    return {**case._asdict(), "mistakes": dict(case.mistakes)}


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
