"""Calling functions of a file in a process of its own, wherever Python runs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from . import child

__all__ = ["Answer", "Runner", "run_alone"]

# Far more than any check returns.
MOST_BYTES = 64 * 2**20


class Answer(NamedTuple):
    """What a process came to.

    Attributes
    ----------
    outcomes : list of dict
        Of the calls, as `child` tells them; fewer than calls if it ended before.
    said : str
        What was printed.
    ended : str
        "" if it ended by itself and wrote an answer, else why there is none: ``"time"``,
        ``"killed"`` or ``"unreadable"``.
    """

    outcomes: list[dict[str, Any]]
    said: str
    ended: str


class Runner(Protocol):
    """Calls functions of a file, each time in a process that is new."""

    def __call__(
        self, file: Path, function: str, calls: Sequence[tuple[Any, ...]], seconds: float
    ) -> Answer:
        """Call the function with each of `calls`, within so many seconds in all."""


def run_alone(
    file: Path, function: str, calls: Sequence[tuple[Any, ...]], seconds: float
) -> Answer:
    """Call a function of a file in a process that sees no variable of this one's environment.

    That keeps an endless loop or a crash from doing harm, and is enough for one's own code. It does
    not hold off somebody who means harm.

    Parameters
    ----------
    file : Path
    function : str
    calls : sequence of tuple
        The arguments of each call: numbers, strings, arrays, and lists, tuples and dicts of them.
    seconds : float
        After which the process is ended.
    """
    with tempfile.TemporaryDirectory(prefix="minires-", ignore_cleanup_errors=True) as place:
        job, out = Path(place) / "job.npz", Path(place) / "out.npz"
        asked = [{"function": function, "arguments": list(arguments)} for arguments in calls]
        child.dump(job, {"file": str(file.absolute()), "calls": asked})
        command = [sys.executable, "-I", "-B", child.__file__, str(job), str(out)]
        try:
            subprocess.run(
                command,
                timeout=seconds,
                cwd=place,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Answer([], "", "time")
        return read_answer(out)


def read_answer(out: Path) -> Answer:
    """Read what a child wrote, which may be anything."""
    try:
        if out.stat().st_size > MOST_BYTES:
            return Answer([], "", "unreadable")
        with zipfile.ZipFile(out) as archive:
            if sum(each.file_size for each in archive.infolist()) > MOST_BYTES:
                return Answer([], "", "unreadable")
        told = child.load(out)
        outcomes, said = told["outcomes"], told["said"]
    except FileNotFoundError:
        return Answer([], "", "killed")
    except Exception:  # made by somebody else's code
        return Answer([], "", "unreadable")
    if not isinstance(said, str) or not _are_outcomes(outcomes):
        return Answer([], "", "unreadable")
    return Answer(outcomes, said[: child.MOST_OUTPUT], "")


def _are_outcomes(outcomes: Any) -> bool:
    return isinstance(outcomes, list) and all(isinstance(each, dict) for each in outcomes)


def _environment() -> dict[str, str]:
    kept = {
        name: os.environ[name] for name in ("SYSTEMROOT", "TMPDIR", "TEMP") if name in os.environ
    }
    one = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    return kept | one | {"PYTHONHASHSEED": "0"}
