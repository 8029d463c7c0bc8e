"""The peers' environments: virtual environments of their own, with pinned versions.

An environment is named like its requirement file beside this code, and counts as installed when
it holds a copy of that file as it is now: pip got to its end, and with these versions.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

REQUIREMENTS = Path(__file__).parent
ENVIRONMENTS = ("old-numpy", "modern")
FOLDER = Path(os.environ.get("MINIRES_PEERS") or Path.home() / ".cache" / "minires-peers")
INSTALL = "python -m benchmarks.peers install"
_STAMP = "installed.txt"


class InstallError(RuntimeError):
    """An environment could not be made."""


def interpreter(environment: str, folder: Path = FOLDER) -> Path | None:
    """Return the Python of an environment, or None where it is not installed as pinned."""
    stamp = folder / environment / _STAMP
    if not stamp.is_file() or stamp.read_text("utf-8") != _requirements(environment):
        return None
    return _python(folder / environment)


def install(
    folder: Path = FOLDER,
    python: str | None = None,
    progress: Callable[[str], object] = lambda line: None,
) -> None:
    """Make the environments that are not there yet.

    Parameters
    ----------
    folder : Path
        Where the environments are made.
    python : str, optional
        A Python 3.11, by default this one or ``python3.11``.
    progress : callable
        Called with a line about each environment.

    Raises
    ------
    InstallError
        If there is no Python 3.11, or venv or pip fails.
    """
    for environment in ENVIRONMENTS:
        home = folder / environment
        if interpreter(environment, folder):
            progress(f"{environment}: already in {home}")
            continue
        progress(f"{environment}: installing into {home}")
        _run([_python_3_11(python), "-m", "venv", str(home)], environment)
        pip = [str(_python(home)), "-m", "pip", "install", "--disable-pip-version-check"]
        _run([*pip, "--requirement", str(REQUIREMENTS / f"{environment}.txt")], environment)
        (home / _STAMP).write_text(_requirements(environment), encoding="utf-8")


def _requirements(environment: str) -> str:
    return (REQUIREMENTS / f"{environment}.txt").read_text("utf-8")


def _python(home: Path) -> Path:
    return home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _python_3_11(python: str | None) -> str:
    found = python or (sys.executable if sys.version_info[:2] == (3, 11) else "python3.11")
    path = shutil.which(found)
    asked = [path or found, "-c", "import sys; print(*sys.version_info[:2], sep='.')"]
    version = _run(asked, "the version of Python").strip() if path else "nothing that runs"
    if version != "3.11":
        raise InstallError(
            "the peers need Python 3.11, the newest that NumPy 1.23.5 was built for;"
            f" {found} is {version}: name a Python 3.11 with --python"
        )
    return asked[0]


def _run(command: list[str], what: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise InstallError(
            f"{what}: {' '.join(command)} ended with status {done.returncode}, saying\n"
            + done.stdout[-2000:].strip()
        )
    return done.stdout
