"""What was handed in: found, unpacked with bounds, and told apart; never imported or run."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import unicodedata
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from minires.data.archives import read_member, require_plain
from minires.data.errors import DatasetDamaged

from .assignment import AssignmentError
from .shipped import names as shipped_names

__all__ = [
    "assignment_named_in",
    "digest_of",
    "id_of",
    "not_looked_at",
    "submissions_in",
    "texts_of",
    "unpacked",
    "with_files",
]

_MOST_BYTES = 16 * 2**20
_MOST_FILES = 1000
_DEEPEST = 32  # folders in each other: what walks through them goes as deep
_SUFFIXES = (".py", ".zip")
# Of what a submission is called: what it becomes is named after it, and names of files have an end.
_LONGEST = 200
# A submission says of which assignment it is in the first of these that it has.
_MANIFESTS = ("manifest.json", ".assignment/assignment.json")


def submissions_in(folder: Path, but: Path | None = None) -> list[Path]:
    """Return what was handed in: folders, .zip and .py files; each is called as its file is.

    A folder that is an assignment's itself, as students have it, is one submission.

    Parameters
    ----------
    folder : Path
    but : Path, optional
        The folder of the results, which is none of them where it lies among them.

    Raises
    ------
    AssignmentError
        If there are none, or two of one name.
    """
    if folder.is_file() and _may_be_one(folder):
        return [folder]
    if not folder.is_dir():
        raise AssignmentError(f"there is no folder '{folder}' with submissions")
    if _is_one(folder):
        return [folder.absolute()]
    found = [
        path
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".") and _may_be_one(path)
    ]
    if but is not None:
        found = [path for path in found if path.resolve() != but.resolve()]
    if not found:
        raise AssignmentError(f"'{folder}' has no submissions: folders, .zip or .py files")
    names = [id_of(path) for path in found]
    folded = [name.casefold() for name in names]  # results may be taken to where case is no matter
    if twice := [name for name in names if folded.count(name.casefold()) > 1]:
        raise AssignmentError(f"'{folder}' has two submissions that are called {twice[0]!r}")
    return found


def not_looked_at(folder: Path) -> list[str]:
    """Return the names of what lies among submissions and is none, though somebody may think so."""
    if not folder.is_dir() or _is_one(folder):
        return []
    return [
        path.name
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".") and not _may_be_one(path)
    ]


def _is_one(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _MANIFESTS)


def _may_be_one(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() in _SUFFIXES


def id_of(path: Path) -> str:
    r"""Return what a submission is called: as its file, with what cannot be shown written out.

    Letters with accents are the same however a system writes them.

    Examples
    --------
    >>> id_of(Path("in/ada.zip")), id_of(Path("in/ada@x.org")), id_of(Path("in/\x1b[31meve.py"))
    ('ada', 'ada@x.org', '%1B[31meve')
    """
    name = path.stem if path.suffix.lower() in _SUFFIXES else path.name
    shown = "".join(
        each if each.isprintable() else quote(each, errors="surrogatepass")
        for each in unicodedata.normalize("NFC", name)
    )
    if len(data := shown.encode()) <= _LONGEST:
        return shown
    return f"{data[:_LONGEST].decode(errors='ignore')}~{hashlib.sha256(data).hexdigest()[:8]}"


def assignment_named_in(submissions: Sequence[Path]) -> str:
    """Return the name of the one assignment that submissions say they are of.

    Raises
    ------
    AssignmentError
        If none says, they differ, or it does not come with minires.
    """
    said = {name for path in submissions if (name := _named(path)) is not None}
    if len(said) == 1 and said <= set(shipped_names()):
        return said.pop()
    why = "what was handed in does not say of which assignment it is"
    if len(said) > 1:
        why = f"what was handed in is of {len(said)} assignments"
    elif said:
        why = f"what was handed in is of {said.pop()[:60]!r}, which does not come with minires"
    raise AssignmentError(f"{why}; name it with --assignment")


def _named(path: Path) -> str | None:
    """Return the assignment that a submission names, in so far as that can be read."""
    ignored: list[str] = []
    with unpacked(path, (path.name,), ignored) as folder:
        for place in (folder, *sorted(each for each in folder.glob("*") if each.is_dir())):
            for manifest in _MANIFESTS:
                try:
                    told = json.loads((place / manifest).read_text(encoding="utf-8"))
                except (OSError, ValueError, RecursionError):
                    continue
                name = told.get("assignment", told.get("name")) if isinstance(told, dict) else None
                if isinstance(name, str):
                    return name
    return None


def digest_of(folder: Path) -> str:
    """Return a checksum of all files in an unpacked submission, and of their names."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = str(path.relative_to(folder)).encode(errors="surrogateescape")
            total.update(hashlib.sha256(name).digest())
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def texts_of(path: Path, names: Sequence[str]) -> list[str]:
    """Return the programs of a submission, of the files that were asked for."""
    ignored: list[str] = []
    with unpacked(path, names, ignored) as folder:
        place = with_files(folder, names)
        found = [place / name for name in names if (place / name).is_file()]
        found = [each for each in found if each.suffix == ".py"]
        return [each.read_text(encoding="utf-8", errors="replace") for each in found]


@contextmanager
def unpacked(path: Path, names: Sequence[str], incidents: list[str]) -> Iterator[Path]:
    """Yield a folder with the submission's plain files, apart from the others.

    A submission that is one file takes on the name that is asked for, if that is one.
    """
    with tempfile.TemporaryDirectory(prefix="minires-") as place:
        folder = Path(place) / "submission"
        folder.mkdir()
        if path.suffix.lower() == ".zip" and path.is_file():
            _unzip(path, folder, incidents)
        elif path.is_dir():
            _copy(path, folder, incidents)
            alone = [each for each in folder.iterdir() if each.is_file()]
            if len(alone) == 1 and alone[0].suffix.lower() == ".zip":  # as Moodle has it
                _unzip(alone[0], folder, incidents)
        elif path.is_symlink():
            incidents.append("is a link, which is not followed")
        else:
            shutil.copyfile(path, folder / (names[0] if len(names) == 1 else path.name))
        yield folder


def _unzip(path: Path, folder: Path, incidents: list[str]) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            size = sum(each.file_size for each in members)
            if size > _MOST_BYTES or len(members) > _MOST_FILES:
                incidents.append("its archive holds more than a submission may")
                return
            for member in members:
                name = member.filename.replace("\\", "/")
                try:
                    require_plain(path, member)
                    if name.count("/") > _DEEPEST:
                        raise DatasetDamaged(f"{name!r} lies too deep")
                except DatasetDamaged:
                    incidents.append(f"its archive names {name[:100]!r}, which is left out")
                    continue
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(read_member(archive, member))
    except Exception as error:  # of a damaged one, zipfile raises what it likes
        incidents.append(f"its archive cannot be read: {error}")


def _copy(path: Path, folder: Path, incidents: list[str]) -> None:
    size = count = 0
    for each in sorted(path.rglob("*")):
        name = each.relative_to(path)
        if each.is_symlink():
            incidents.append(f"{str(name)[:100]!r} is a link, which is not followed")
        elif each.is_file() and not any(p.is_symlink() for p in each.parents if p != path):
            size, count = size + each.stat().st_size, count + 1
            if size > _MOST_BYTES or count > _MOST_FILES:
                incidents.append("holds more than a submission may")
                return
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(each, folder / name)


def with_files(folder: Path, names: Sequence[str]) -> Path:
    """Return the folder in which the files lie that are asked for, also where it is one deeper."""
    found = [folder, *sorted(path for path in folder.glob("*") if path.is_dir())]
    return max(found, key=lambda place: sum((place / name).is_file() for name in names))
