"""Programs started by `mpiexec`, for tests marked `mpi`."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def launcher() -> str:
    """The `mpiexec` beside this Python, or on the path; without it or mpi4py the test skips."""
    beside = Path(sys.executable).parent / "mpiexec"
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    if found is None or importlib.util.find_spec("mpi4py") is None:
        if os.environ.get("MINIRES_REQUIRE_MPI", "") not in ("", "0"):
            pytest.fail("MINIRES_REQUIRE_MPI is set: python -m pip install -e '.[mpi]'")
        pytest.skip("needs mpi4py and mpiexec, of the extra 'mpi'")
    return found


@contextmanager
def mpiexec(size: int, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start ``python *arguments`` on so many ranks; whatever still runs at the end is killed."""
    process = subprocess.Popen(
        [launcher(), "-n", str(size), sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()  # killed, the launcher could not end its ranks
        process.communicate()
