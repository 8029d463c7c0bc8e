"""Handing in: a zip of what a student wrote, the same whenever it is made again."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from pathlib import Path

import numpy as np

from .assignment import AssignmentError, Sheet
from .packing import pack
from .release import Handed
from .results import Submission
from .running.processes import Runner, run_alone
from .syntax import NotPythonError, names_in, parsed
from .writing import writing_in

__all__ = ["MOST_BYTES", "hand_in"]

# Of one file: far more than anybody writes.
MOST_BYTES = 2**20


def hand_in(handed: Handed, out: Path, runner: Runner = run_alone) -> Submission:
    """Write a zip with a student's files and ``manifest.json``.

    The manifest tells the assignment, the checksum of each file, the versions that there were, and
    the points that were reached here, which do not count. It tells neither time nor names.

    Parameters
    ----------
    handed : Handed
    out : Path
    runner : Runner

    Returns
    -------
    Submission
        What is said of the files here.

    Raises
    ------
    AssignmentError
        If a file is missing or too large, cannot be read as Python, or has not all functions; if
        the zip cannot be written.
    """
    files = {name: _complete(handed.sheet, handed.folder / name) for name in handed.sheet.files}
    checked = handed.checked(runner)
    told = {
        "format": "minires.submission/1",
        "assignment": handed.sheet.name,
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        "changed": handed.changed(),
        "versions": {
            # The front door, which no room imports, is open by now.
            "minires": str(sys.modules[__name__.partition(".")[0]].__version__),
            "numpy": np.__version__,
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
        },
        "score_here": {"points": checked.score, "max": checked.max_score, "counts": False},
    }
    with writing_in(out.parent):
        pack(out, {**files, "manifest.json": (json.dumps(told, indent=1) + "\n").encode()})
    return checked


def _complete(sheet: Sheet, path: Path) -> bytes:
    """Return the bytes of a file that has all that is asked for, if only unwritten."""
    if not path.is_file():
        raise AssignmentError(f"there is no '{path}', which is to be handed in")
    if (size := path.stat().st_size) > MOST_BYTES:
        raise AssignmentError(f"'{path}' has {size:,} bytes; {MOST_BYTES:,} can be handed in")
    data = path.read_bytes()
    if path.suffix != ".py":
        return data
    try:
        there = names_in(parsed(data))
    except NotPythonError as error:
        raise AssignmentError(f"'{path}' is no Python: {error}") from None
    wanted = [name for name in sheet.functions if sheet.file_of(name) == path.name]
    if missing := [name for name in wanted if name not in there]:
        raise AssignmentError(
            f"'{path}' has no function {', '.join(missing)}; leave in what is not written yet, as"
            " the starter has it"
        )
    return data
