"""The command, run in the process of the tests: no start of Python and no imports each time."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from minires.cli import main


@dataclass(frozen=True)
class Done:
    """What is left of a command, under the names that `subprocess.run` has for it."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def minires(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """Run a command in the test's folder, with keys that are pressed and variables that are set."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")

    def minires(*arguments: str | Path, keys: str = "", **variables: str) -> Done:
        with pytest.MonkeyPatch.context() as this_time:
            for name, value in variables.items():
                this_time.setenv(name, value)
            this_time.setattr(sys, "stdin", io.StringIO(keys))
            code = main([str(argument) for argument in arguments])
        return Done(code, *capfd.readouterr())

    return minires
