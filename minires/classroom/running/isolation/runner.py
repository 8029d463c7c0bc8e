"""Calling functions of a file that somebody may have written who means harm."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import child
from ..answers import Answer, read_answer
from . import jail

__all__ = ["IsolationError", "missing_guards", "run_isolated"]

# What the jail needs beside the student's time, on a busy machine.
_GRACE = 20.0
_MEANINGS = {
    "another_user": "no user of its own: it can read, write and end whatever the grader can",
    "namespaces": (
        "no namespaces: it can reach the network and the machine's readable files, and fill disks"
        " with one file after the other"
    ),
}


class IsolationError(RuntimeError):
    """A student's code cannot be run here as it has to be."""


class _Guards(NamedTuple):
    """What keeps a student's process in, beside limits; and why that is not more."""

    another_user: bool
    namespaces: bool
    why: str = ""


def run_isolated(
    file: Path, function: str, calls: Sequence[tuple[Any, ...]], seconds: float, **also: Any
) -> Answer:
    """Call a function of a file in a process that can do no harm, as far as the machine allows.

    As root it is a process of a user who owns nothing, in namespaces of its own, that sees Python,
    NumPy and the folder of the file, and can write to a small file system that ends with it. What
    of this is not to be had is told by `missing_guards`; limits, an empty environment and an end
    to all that it started are to be had everywhere on Linux.

    Parameters
    ----------
    file : Path
        The folder it is in is all that the process gets to see of the student's.
    function : str
    calls : sequence of tuple
        The arguments of each call: numbers, strings, arrays, and lists, tuples and dicts of them.
    seconds : float
        After which the process is ended, and all that it started.
    also
        What else `child` is told: `given`, `measure`.

    Raises
    ------
    IsolationError
        If that cannot be done. It says nothing of the student.
    """
    return _run(file, function, calls, seconds, _guards(), **also)


def missing_guards() -> list[str]:
    """Return what this machine does not keep a student's process from, in sentences; best empty."""
    guards = _guards()
    there = guards._asdict()
    return [f"{says} ({guards.why})" for name, says in _MEANINGS.items() if not there[name]]


@functools.cache
def _guards() -> _Guards:
    """Return what is to be had, by trying."""
    if not hasattr(os, "pidfd_open"):
        raise IsolationError("submissions of others are graded on Linux, in a container if need be")
    if os.geteuid() != 0:
        return _Guards(another_user=False, namespaces=False, why="the grader is not root")
    why = ""
    for namespaces in (True, False):
        guards = _Guards(True, namespaces, why)
        try:
            _try(guards)
        except IsolationError as error:
            why = str(error)
        else:
            return guards
    raise IsolationError(
        "the grader runs as root, and no other user can be given the student's code: let Python and"
        f" NumPy be readable for all, or grade as somebody else ({why})"
    )


def _try(guards: _Guards) -> None:
    with tempfile.TemporaryDirectory(prefix="minires-") as place:
        file = Path(place) / "tried.py"
        file.write_text("def f(x):\n    return x\n", encoding="utf-8")
        answer = _run(file, "f", [(1,)], 10.0, guards)
    if answer.ended or answer.outcomes[0].get("result") != 1:
        raise IsolationError(f"a first call came to {answer}")


def _run(
    file: Path,
    function: str,
    calls: Sequence[tuple[Any, ...]],
    seconds: float,
    guards: _Guards,
    **also: Any,
) -> Answer:
    with _folder() as place:
        root = Path("/") if guards.namespaces else place / "root"
        asked = [{"function": function, "arguments": list(arguments)} for arguments in calls]
        seen_as = str(root / "student" / file.name)
        child.dump(place / "job.npz", {"file": seen_as, "calls": asked, **also})
        order = {
            "place": str(place),
            "student": str(file.absolute().parent),
            "seconds": seconds,
            "another_user": guards.another_user,
            "namespaces": guards.namespaces,
            **_python(),
        }
        report = _reported(order)
        facts = tuple(report.get("incidents", ()))
        if report["how"] == "time":
            return Answer([], "", "time", (*facts, f"did not end within {seconds:g} s"))
        if report["how"] == "broken":
            raise IsolationError(report["says"])
        if not report.get("answered"):
            return Answer([], "", "killed", (*facts, _end(report)))
        answer = read_answer(place / "answer.npz", calls)
        return answer._replace(incidents=(*facts, *answer.incidents))


def _reported(order: dict[str, Any]) -> dict[str, Any]:
    """Let the jail do it; return what it saw."""
    process = subprocess.Popen(
        [order["python"], "-I", "-S", "-B", jail.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"LD_LIBRARY_PATH": ":".join(order["libraries"])},
        start_new_session=True,
        text=True,
    )
    with process:
        try:
            said, trouble = process.communicate(json.dumps(order), order["seconds"] + _GRACE)
        except BaseException as error:  # it hangs, or somebody pressed Ctrl-C
            _stop(process)
            if isinstance(error, subprocess.TimeoutExpired):
                return {"how": "keeper"}
            raise
    if process.returncode < 0:
        return {"how": "keeper"}
    if not said:
        raise IsolationError(f"the jail failed: {trouble.strip()}")
    report: dict[str, Any] = json.loads(said)
    return report


def _stop(process: subprocess.Popen[str]) -> None:
    """End the jail so that it can end what it holds, even if somebody made it stand still."""
    process.send_signal(signal.SIGCONT)
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()


def _end(report: dict[str, Any]) -> str:
    if report["how"] == "keeper":
        return "ended or stopped the process that keeps it"
    if report["how"] == "exit":
        return f"ended itself with code {report['code']} before it answered"
    if report["code"] == signal.SIGKILL:
        return "was killed, as happens for want of memory or after too much processor time"
    code = report["code"]
    name = signal.Signals(code).name if code in set(signal.Signals) else f"signal {code}"
    return f"was ended by {name} before it answered"


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """Yield a new folder; whatever is put in it, it goes."""
    place = tempfile.mkdtemp(prefix="minires-")
    try:
        yield Path(place)
    finally:
        try:
            shutil.rmtree(place, ignore_errors=True)
        except RecursionError:  # folders in folders in folders
            subprocess.run(["rm", "-rf", place], check=False)


@functools.cache
def _python() -> dict[str, Any]:
    """Return what a process needs to see of this machine to be Python with NumPy."""
    python = os.path.realpath(sys.executable)
    numpy = Path(np.__file__).resolve().parent
    around = {"numpy": numpy, "numpy.libs": numpy.with_name("numpy.libs")}
    packages = {name: str(path) for name, path in around.items() if path.is_dir()}
    with tempfile.TemporaryDirectory(prefix="minires-") as place:
        for name, path in packages.items():
            Path(place, name).symlink_to(path)
        told = subprocess.run(
            [python, "-P", "-s", "-S", "-B", "-c", _ASK],
            env={"PYTHONPATH": place, "LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", "")},
            capture_output=True,
            check=True,
        )
    modules, mapped = json.loads(told.stdout)
    own = tuple(packages.values())
    homes = [path for path in modules if path != place and Path(path).exists()]
    libraries = sorted({str(Path(path).parent) for path in mapped if not path.startswith(own)})
    libraries = [path for path in libraries if path not in homes]
    linkers = [str(path) for path in Path("/").glob("lib*/ld-*.so*")]
    shown = _outermost([*homes, *libraries, python, *linkers])
    covered = [
        str(path)
        for folder in [*shown, *homes]
        for name in ("site-packages", "dist-packages")
        for path in [*Path(folder).glob(name), *Path(folder).glob(f"python3*/{name}")]
    ]
    return {
        "python": python,
        "child": child.__file__,
        "packages": packages,
        "shown": shown,
        "covered": sorted(set(covered)),
        "libraries": libraries,
    }


# Which modules and libraries there are without packages; those named need libraries of the system.
_ASK = """
import sys, json, ctypes, zlib, bz2, lzma, hashlib, sqlite3, numpy
with open("/proc/self/maps") as file:
    paths = {line.split(maxsplit=5)[-1].strip() for line in file if ".so" in line}
sys.stdout.write(json.dumps([sys.path, sorted(paths)]))
"""


def _outermost(paths: Sequence[str]) -> list[str]:
    """Return paths without those that lie in another of them."""
    found = sorted(set(paths))
    return [a for a in found if not any(a.startswith(f"{b}/") for b in found)]
