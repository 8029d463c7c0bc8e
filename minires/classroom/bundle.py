"""All that grading an assignment needs, in one folder or zip, with a checksum of each file.

The checksums find what was changed by accident, or by an upload. Who means to change a bundle can
change them, too: keep it where only those who teach can write.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minires.data.archives import read_member, require_plain

from .assignment import Assignment, AssignmentError
from .shipped import assignment_of
from .writing import made_whole

__all__ = ["make_bundle", "minires_version", "opened", "secret_of"]

_MANIFEST = "bundle.json"
_SCHEMA = "minires.classroom.bundle/1"
# They verify an assignment, and grade nobody.
_LEFT_OUT = ("right", "second", "two", "__pycache__")


def make_bundle(assignment: Assignment, folder: Path) -> Path:
    """Make a folder with all that grading an assignment needs.

    Parameters
    ----------
    assignment : Assignment
    folder : Path
        Must not be there yet.

    Raises
    ------
    AssignmentError
        If the folder is there.
    """
    with made_whole(folder) as made:
        shutil.copytree(
            assignment.folder,
            made / "assignment" / assignment.name,
            ignore=shutil.ignore_patterns(*_LEFT_OUT),
        )
        manifest = {
            "schema": _SCHEMA,
            "assignment": assignment.name,
            "minires": minires_version(),
            "secret": secrets.token_hex(32),
            "files": _checksums(made),
        }
        (made / _MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return folder


@contextmanager
def opened(name: str) -> Iterator[Assignment]:
    """Yield an assignment by its name, as ``a2``, its folder, or its bundle, a folder or a zip.

    Raises
    ------
    AssignmentError
        If there is none, or a bundle is not as it was made.
    """
    path = Path(name)
    if path.suffix == ".zip":
        with tempfile.TemporaryDirectory(prefix="minires-") as place:
            _unpack(path, Path(place))
            found = [*Path(place).glob(_MANIFEST), *Path(place).glob(f"*/{_MANIFEST}")]
            yield _checked(found[0].parent if found else Path(place), path)
    elif (path / _MANIFEST).is_file():
        yield _checked(path, path)
    else:
        yield assignment_of(name)


def minires_version() -> str:
    """Return the version of minires, of which the front door, that no room imports, is open."""
    return str(sys.modules[__name__.partition(".")[0]].__version__)


def secret_of(folder: Path) -> bytes:
    """Return what a bundle draws the numbers of variants from."""
    return bytes.fromhex(str(_manifest(folder, folder)["secret"]))


def _unpack(path: Path, place: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if not member.is_dir():
                    require_plain(path, member)
                    target = place / member.filename
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(read_member(archive, member))
    except Exception as error:  # of a damaged one, zipfile raises what it likes
        raise AssignmentError(f"the bundle '{path}' cannot be read: {error}") from None


def _checked(folder: Path, path: Path) -> Assignment:
    told = _manifest(folder, path)
    was, now = told["files"], _checksums(folder)
    for name in sorted({*was, *now}):
        if was.get(name) != now.get(name):
            how = "missing" if name not in now else "new" if name not in was else "changed"
            raise AssignmentError(
                f"the bundle '{path}' is not as it was made: {name} is {how}; release it anew"
            )
    return Assignment(folder / "assignment" / told["assignment"])


def _manifest(folder: Path, path: Path) -> dict[str, Any]:
    try:
        told = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        if told["schema"] != _SCHEMA or not all(
            isinstance(told[key], kind)
            for key, kind in (("files", dict), ("secret", str), ("assignment", str))
        ):
            raise ValueError(f"it is not of {_SCHEMA}")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise AssignmentError(f"'{path}' is no bundle: {error}") from None
    return dict(told)


def _checksums(folder: Path) -> dict[str, str]:
    """Return a checksum of each file of a bundle but its manifest."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != _MANIFEST and "__pycache__" not in path.parts
    }
