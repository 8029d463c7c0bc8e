"""Calling functions of a file in a process of its own, wherever Python runs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from . import child
from .answers import Answer, read_answer

__all__ = ["Answer", "Runner", "run_alone"]


class Runner(Protocol):
    """Calls functions of a file, each time in a process that is new."""

    def __call__(
        self,
        file: Path,
        function: str,
        calls: Sequence[tuple[Any, ...]],
        seconds: float,
        **also: Any,
    ) -> Answer:
        """Call the function with each of `calls`, within so many seconds in all.

        `also` is what else `child` is told.
        """


def run_alone(
    file: Path, function: str, calls: Sequence[tuple[Any, ...]], seconds: float, **also: Any
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
    also
        What else `child` is told: `given`, `measure`.
    """
    with tempfile.TemporaryDirectory(prefix="minires-", ignore_cleanup_errors=True) as place:
        job, out = Path(place) / "job.npz", Path(place) / "out.npz"
        asked = [{"function": function, "arguments": list(arguments)} for arguments in calls]
        child.dump(job, {"file": str(file.absolute()), "calls": asked, **also})
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
            return Answer([], "", "time", (f"did not end within {seconds:g} s",))
        return read_answer(out, calls)


def _environment() -> dict[str, str]:
    kept = {
        name: os.environ[name] for name in ("SYSTEMROOT", "TMPDIR", "TEMP") if name in os.environ
    }
    one = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    return kept | one | {"PYTHONHASHSEED": "0"}
