"""What students are given: files to write in, the handout, and data to check it by."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

from .assignment import Assignment, AssignmentError, Mistake, Sheet
from .judging import CheckResult, Prepared, judged, prepared
from .packing import contents
from .results import Submission, graded
from .running.child import dump, load
from .running.processes import Runner, run_alone
from .writing import made_whole

__all__ = ["SHEET", "Handed", "handed", "release", "told_mistakes"]

# Beside the student's file; what is in it tells inputs and right results, and no solution.
SHEET = ".assignment"
_STARTER = "starter"
_MANIFEST = "manifest.json"


def release(
    assignment: Assignment, folder: Path, runner: Runner = run_alone, seed: int | None = None
) -> Path:
    """Make the folder that students get.

    It has the starter, the handout, and in a folder of its own the checks that are not hidden: with
    what the functions are called, what they should return, and fingerprints of known mistakes; the
    starter once more, and the checksums of what is not to be changed.

    Parameters
    ----------
    assignment : Assignment
    folder : Path
        Must not be there yet.
    runner : Runner
    seed : int, optional
        Of the numbers, instead of the assignment's.

    Raises
    ------
    AssignmentError
        If the starter holds a part of a solution; if the folder is there.
    """
    with made_whole(folder) as made:
        starter = assignment.starter()
        shown = [check for check in assignment.settings.checks if not check.hidden]
        settings = assignment.settings.model_copy(
            update={
                "name": assignment.name,
                "checks": tuple(shown),
                "hidden_points": assignment.points - sum(check.points for check in shown),
                "seed": assignment.settings.seed if seed is None else seed,
            }
        )
        cases = prepared(assignment, settings.seed, runner)
        sheet = made / SHEET
        (sheet / _STARTER).mkdir(parents=True)
        for name, text in starter.items():
            _write(made / name, text)
            _write(sheet / _STARTER / name, text)
        shutil.copyfile(assignment.folder / "handout.md", made / "handout.md")
        _write(sheet / "assignment.json", settings.model_dump_json(indent=1) + "\n")
        known = told_mistakes(assignment)
        says = {name: each.says for name, each in known.items()}
        _write(sheet / "explanations.json", json.dumps(says, indent=1) + "\n")
        hints = {
            name: each.hint or assignment.checks[each.caught_by].hints[0]
            for name, each in known.items()
        }
        _write(sheet / "hints.json", json.dumps(hints, indent=1) + "\n")
        dump(
            sheet / "cases.npz",
            {each.name: _plain(cases[each.name], known) for each in shown if each.name in cases},
        )
        for name in ("views.py", "readings.py"):
            if (assignment.folder / name).exists():
                shutil.copyfile(assignment.folder / name, sheet / name)
        ours = {name: data for name, data in contents(made).items() if name not in starter}
        _write(sheet / _MANIFEST, json.dumps(_checksums(ours), indent=1) + "\n")
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
    hints : dict of str to str
        What to ask oneself first, by the ids of mistakes.
    checksums : dict of str to str
        Of the files that were given out, but for those that the student writes in.
    folder : Path
        With the files that the student writes in.
    """

    sheet: Sheet
    cases: dict[str, Prepared]
    explanations: dict[str, str]
    hints: dict[str, str]
    checksums: dict[str, str]
    folder: Path

    def checked(self, runner: Runner = run_alone) -> Submission:
        """Make all checks of the student's files."""
        results: list[CheckResult] = judged(self.sheet, self.folder, self.cases, runner)
        return graded(self.sheet, results, self.explanations, self.folder.absolute().name)

    def hint(self, check: str, level: int, mistake: str | None = None) -> str:
        """Return a hint on a check, of level 1 to 3; the first is that on the mistake, if known."""
        own = self.hints.get(mistake or "") if level == 1 else None
        return own or self.sheet.checks[check].hints[level - 1]

    def starter(self, file: str) -> str:
        """Return what a file was when it was given out."""
        return (self.sheet.folder / _STARTER / file).read_text(encoding="utf-8")

    def untouched(self) -> bool:
        """Return whether all that is to be written in is as it was given out."""
        return all(
            (self.folder / name).read_bytes().replace(b"\r\n", b"\n") == self.starter(name).encode()
            for name in self.sheet.files
        )

    def changed(self) -> list[str]:
        """Return the names of what was given out, not to be written in, and is not as it was."""
        paths = {name: self.folder / name for name in self.checksums}
        there = {name: path.read_bytes() for name, path in paths.items() if path.is_file()}
        now = _checksums(there)
        return [name for name, was in self.checksums.items() if now.get(name) != was]


def handed(folder: Path) -> Handed:
    """Read an assignment's folder, as a student has it.

    Raises
    ------
    AssignmentError
        If it is none, or damaged.
    """
    place = folder / SHEET
    if not place.is_dir():
        raise AssignmentError(_why_none(folder))
    sheet = Sheet(place)
    try:
        data = io.BytesIO((place / "cases.npz").read_bytes())
        cases = {name: Prepared(**case) for name, case in load(data).items()}
        explanations, hints, checksums = (
            _texts(place / name) for name in ("explanations.json", "hints.json", _MANIFEST)
        )
    except (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise AssignmentError(
            f"'{place}' is damaged ({error}): start the assignment anew, in another folder, and"
            " copy your files into that"
        ) from None
    return Handed(sheet, cases, explanations, hints, checksums, folder)


def _why_none(folder: Path) -> str:
    """Return why a folder is not that of an assignment, and what to do."""
    if folder.is_file():
        return f"'{folder}' is a file, and no assignment's folder: name that which it is in"
    if not folder.exists():
        return f"there is no folder '{folder}'"
    told = f"'{folder}' is no assignment's folder"
    if there := sorted(path.parent.name for path in folder.glob(f"*/{SHEET}")):
        return f"{told}; in it there are {', '.join(there)}: name one"
    told += f": it has no {SHEET}"
    if (folder / "handout.md").exists():
        told += "; start the assignment anew, in another folder, and copy your files into that"
    return told


def _texts(path: Path) -> dict[str, str]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def told_mistakes(assignment: Assignment) -> dict[str, Mistake]:
    """Return the mistakes that students may be told: not those which a hidden check is to find."""
    return {
        name: each
        for name, each in assignment.mistakes.items()
        if not assignment.checks[each.caught_by].hidden
    }


def _checksums(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


def _plain(case: Prepared, known: Collection[str]) -> dict[str, Any]:
    mistakes = {name: each for name, each in case.mistakes.items() if name in known}
    return {**case._asdict(), "mistakes": mistakes}


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
