"""The zip that Gradescope makes an autograder from: at its root setup.sh and run_autograder."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from .assignment import Assignment, AssignmentError
from .bundle import make_bundle, minires_version
from .packing import contents, pack

__all__ = ["write_gradescope_zip"]

_SCRIPTS = Path(__file__).parent / "gradescope"


def write_gradescope_zip(assignment: Assignment, path: Path, wheel: Path | None = None) -> Path:
    """Write the zip to be uploaded.

    Parameters
    ----------
    assignment : Assignment
    path : Path
    wheel : Path, optional
        Of minires, to be installed; by default pip is asked for the version that writes the zip.

    Raises
    ------
    AssignmentError
        If the wheel is none.
    """
    if wheel and not (wheel.is_file() and re.fullmatch(r"[\w.+-]+\.whl", wheel.name)):
        raise AssignmentError(f"'{wheel}' is no wheel, a file that ends in .whl")
    install = f"$source/{wheel.name}" if wheel else f"minires=={minires_version()}"
    files = contents(_SCRIPTS)
    files["setup.sh"] = files["setup.sh"].replace(b'"minires"', f'"{install}"'.encode())
    if wheel:
        files[wheel.name] = wheel.read_bytes()
    with tempfile.TemporaryDirectory(prefix="minires-") as place:
        bundle = make_bundle(assignment, Path(place) / "bundle")
        files |= {f"bundle/{name}": data for name, data in contents(bundle).items()}
    pack(path, files, executable=("run_autograder", "setup.sh"))
    return path
