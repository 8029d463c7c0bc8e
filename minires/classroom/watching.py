"""Watching a student's files: what has changed, what is run again for it, what is shown."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from minires.serialize.atomic import atomic_write

from .release import Handed
from .results import GradedCheck, Submission
from .running.processes import Runner
from .running.remembering import Remembering, content
from .writing import writing_in

__all__ = ["Changes", "Watch"]


class Changes:
    """Which files are others than when one last looked, by what is in them.

    An editor may replace a file, or empty it before it writes: a change counts when two looks have
    seen the same.

    Parameters
    ----------
    folder : Path
    names : sequence of str
        Of the files.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._paths = {name: folder / name for name in names}
        self._known = self._last = self._now()

    def look(self) -> list[str]:
        """Return the names of the files that have changed."""
        before, self._last = self._last, self._now()
        if self._last != before:
            return []
        changed = [name for name in self._paths if self._last[name] != self._known[name]]
        self._known = self._last
        return changed

    def _now(self) -> dict[str, bytes | None]:
        return {name: content(path) for name, path in self._paths.items()}


class Watch:
    """An assignment that somebody works on: the file at hand, and the check to look at.

    Parameters
    ----------
    handed : Handed
    runner : Runner

    Attributes
    ----------
    submission : Submission
        What was last said of all files.
    file : str
        The file at hand: the one that was changed last, else the first that is not done.
    """

    submission: Submission

    def __init__(self, handed: Handed, runner: Runner) -> None:
        self.handed = handed
        self.file = ""
        self._runner = Remembering(runner)
        self._wanted = ""
        self._hinted = ""
        self._level = 0

    def check(self, changed: Iterable[str] = (), *, again: bool = False) -> None:
        """Make the checks that a change can have affected, or all of them again."""
        if again:
            self._runner.forget()
        self.submission = self.handed.checked(self._runner)
        for name in changed:
            self.file = name
        if not self.file:
            undone = [self._file_of(each) for each in self.submission.checks if _is_open(each)]
            self.file = [*undone, *self.handed.sheet.files][0]

    @property
    def shown(self) -> GradedCheck | None:
        """The check of the file at hand to look at: the first that fails, or is skipped.

        The one that was chosen comes before the others, but only while it fails itself.
        """
        here = [each for each in self.submission.checks if self._file_of(each) == self.file]
        found = [each for each in here if _is_open(each)]
        found.sort(key=lambda each: (each.status != "failed", each.name != self._wanted))
        return found[0] if found else None

    @property
    def done(self) -> bool:
        """Whether no check is left that could be passed."""
        return not any(map(_is_open, self.submission.checks))

    def next(self) -> None:
        """Turn to the next check that fails, in whichever file; after the last, to the first."""
        checks = self.submission.checks
        names = [each.name for each in checks]
        if self.shown:
            place = names.index(self.shown.name)
        else:
            here = [n for n, each in enumerate(checks) if self._file_of(each) == self.file]
            place = max(here, default=-1)  # a file may have hidden checks alone
        around = [*checks[place + 1 :], *checks[: place + 1]]
        for each in [each for each in around if each.status == "failed"][:1]:
            self._wanted, self.file = each.name, self._file_of(each)

    def hints(self) -> list[str]:
        """Return the hints on the check to look at that were asked for, from the first."""
        check = self.shown
        if not check or check.name != self._hinted or check.status != "failed":
            return []
        levels = range(1, self._level + 1)
        return [self.handed.hint(check.name, level, check.diagnosis) for level in levels]

    def hint(self) -> str:
        """Ask for one hint more; return why there is none, if so."""
        check = self.shown
        if not check:
            return f"no check of {self.file} fails"
        if check.status != "failed":
            return "it has hints when it fails"
        if len(self.hints()) == 3:
            return "there are no more hints"
        self._level = self._level + 1 if check.name == self._hinted else 1
        self._hinted = check.name
        return ""

    def reset(self) -> Path | None:
        """Make the file at hand what it was when it was given out; return where the old one is.

        Raises
        ------
        AssignmentError
            If it cannot be written.
        """
        path, starter = self.handed.folder / self.file, self.handed.starter(self.file)
        with writing_in(self.handed.folder):
            kept = _kept(path) if path.is_file() else None
            with atomic_write(path, "w") as file:
                file.write(starter)
        return kept

    def _file_of(self, check: GradedCheck) -> str:
        sheet = self.handed.sheet
        return sheet.file_of(sheet.checks[check.name].function)


def _is_open(check: GradedCheck) -> bool:
    return check.status in ("failed", "skipped")


def _kept(path: Path) -> Path:
    """Copy a file beside itself, under a name that is free."""
    number = 1
    while (kept := path.with_name(f"{path.name}.bak-{number}")).exists():
        number += 1
    shutil.copyfile(path, kept)
    return kept
