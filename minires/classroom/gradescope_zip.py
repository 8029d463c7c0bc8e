"""The zip that Gradescope makes an autograder from: at its root setup.sh and run_autograder."""

from __future__ import annotations

import re
import tempfile
import zipfile
from importlib.metadata import version
from pathlib import Path

from minires.serialize.atomic import atomic_write

from .assignment import Assignment, AssignmentError
from .bundle import make_bundle

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
    wanted = f"minires=={version('minires')}"
    with (
        tempfile.TemporaryDirectory(prefix="minires-") as place,
        atomic_write(path) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for script in sorted(_SCRIPTS.iterdir()):
            text = script.read_text(encoding="utf-8")
            if wheel is not None:
                text = text.replace('"minires"', f'"$source/{wheel.name}"')
            _add(archive, script.name, text.replace('"minires"', f'"{wanted}"').encode(), 0o755)
        bundle = make_bundle(assignment, Path(place) / "bundle")
        for each in sorted(bundle.rglob("*")):
            if each.is_file():
                name = each.relative_to(bundle.parent).as_posix()
                _add(archive, name, each.read_bytes(), 0o644)
        if wheel is not None:
            _add(archive, wheel.name, wheel.read_bytes(), 0o644)
    return path


def _add(archive: zipfile.ZipFile, name: str, content: bytes, mode: int) -> None:
    member = zipfile.ZipInfo(name)
    member.create_system = 3  # POSIX, which has permissions
    member.external_attr = (0o100000 | mode) << 16
    member.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(member, content)
