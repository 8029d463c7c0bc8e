"""Calling functions of a file in a process of its own, wherever Python runs."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np

from . import child
from .answers import Answer, read_answer

__all__ = ["Answer", "Runner", "WarmRunner", "run_alone"]


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
    """Call a function of a file in a process that sees next to nothing of this one's environment.

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
    with _Process() as process:
        return process.answer(file, function, calls, seconds, **also)


class WarmRunner:
    """Calls functions as `run_alone` does, sooner: its processes have been started before.

    A process has imported NumPy and waits. It is used once, so that nothing of a run is left for
    the next. All end with the block, and by themselves if this process is killed.

    Parameters
    ----------
    spares : int
        How many wait.

    Examples
    --------
    >>> with WarmRunner(spares=1) as run:  # doctest: +SKIP
    ...     run(Path("units.py"), "relu", [(-1.0,)], seconds=5.0)
    """

    def __init__(self, spares: int) -> None:
        self.spares = spares
        self._waiting: deque[_Process] = deque()
        self.warm_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        while self._waiting:
            self._waiting.pop().end()

    def warm_up(self) -> None:
        """Start processes in place of those that are used, or have died.

        It is not done with every call, for the next one would have to share the machine with it.
        """
        for process in [each for each in self._waiting if not each.waits]:
            self._waiting.remove(process)
            process.end()
        while len(self._waiting) < self.spares:
            self._waiting.append(_Process())

    def __call__(
        self,
        file: Path,
        function: str,
        calls: Sequence[tuple[Any, ...]],
        seconds: float,
        **also: Any,
    ) -> Answer:
        """Call the function with each of `calls`, within so many seconds in all."""
        with self._next() as process:
            return process.answer(file, function, calls, seconds, **also)

    def _next(self) -> _Process:
        while self._waiting:
            first = self._waiting.popleft()
            if first.waits:
                return first
            first.end()
        return _Process()


class _Process:
    """A process that has been started, and waits to be told what to call, once."""

    def __init__(self) -> None:
        self._place = tempfile.TemporaryDirectory(prefix="minires-", ignore_cleanup_errors=True)
        self._job, self._out = (Path(self._place.name) / name for name in ("job.npz", "out.npz"))
        # As -I, but for what `_environment` says.
        command = [sys.executable, "-P", "-s", "-B", child.__file__, str(self._job), str(self._out)]
        self._process = subprocess.Popen(
            [*command, "--wait"],
            cwd=self._place.name,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.end()

    @property
    def waits(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def answer(
        self,
        file: Path,
        function: str,
        calls: Sequence[tuple[Any, ...]],
        seconds: float,
        **also: Any,
    ) -> Answer:
        """Return what it says to calls of a function."""
        asked = [{"function": function, "arguments": list(arguments)} for arguments in calls]
        child.dump(self._job, {"file": str(file.absolute()), "calls": asked, **also})
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._process.kill()

        # `wait(seconds)` would look only now and then whether the process has ended.
        deadline = threading.Timer(seconds, give_up)
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdout.read(1)  # its start, which a busy machine makes long, is no time of the student's
        deadline.start()
        try:
            stdin.write(b"\n")
            stdin.flush()
            self._process.wait()
        except OSError:  # somebody has ended it
            self._process.wait()
        finally:
            deadline.cancel()
        if late.is_set():
            return Answer([], "", "time", (f"did not end within {seconds:g} s",))
        return read_answer(self._out, calls)

    def end(self) -> None:
        """End it, and leave nothing of it."""
        self._process.kill()
        self._process.communicate()
        self._place.cleanup()


def _environment() -> dict[str, str]:
    """Return variables with which Python starts, and finds the NumPy that this process has."""
    names = ("SYSTEMROOT", "TMPDIR", "TEMP", "LD_LIBRARY_PATH")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    # `pip install --user` and PYTHONPATH put it where Python does not look by itself.
    home = str(Path(np.__file__).parents[1])
    if home not in site.getsitepackages():
        kept["PYTHONPATH"] = home
    one = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    return kept | one | {"PYTHONHASHSEED": "0"}
