"""A trace in one file: a zip of ``trace.json`` and one ``.npy`` for each array.

So NumPy opens it as an npz, any tool reads the JSON, and nothing in it can run. A file may come
from anyone: sizes are checked before anything of that size is read, members stay inside, and
whatever does not fit is refused by name.
"""

from __future__ import annotations

import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from minires.serialize import atomic_write

from . import integrity, schema
from .records import Records
from .trace import Trace

_TEXT = "trace.json"

# Text as repetitive as a trace's packs to a twelfth; nothing honest packs to less than a hundredth.
_DENSEST = 100

# Of text; a network of a hundred layers has a hundredth of it. Read, it takes up to ten times that.
_LARGEST = 1 << 27

# A list of nothing has two letters, and takes half a kilobyte while it is read.
_MOST_NESTED = 1 << 20

_LEFT_BEHIND = "not in a file: compute what needs it before save()"

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")

# The header of an array of numbers; NumPy's own reader would evaluate any expression.
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([<|][biufc]\d{1,2})', 'fortran_order': False,"
    rb" 'shape': \(([\d, ]*)\), \} *\n",
    flags=re.DOTALL,
)

# An entry of a zip's directory has no fewer bytes; what hides one in a neighbour is no trace.
_ENTRY = 46

# What Python's reader of zips raises on bytes that somebody changed.
_READER_ERRORS = (
    EOFError,
    IndexError,
    KeyError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


class TraceFileError(ValueError):
    """A file cannot be read as a trace; the message names the file, and what is wrong with it."""


def save(trace: Trace, path: str | os.PathLike[str]) -> None:
    """Write a trace to one file, whole or not at all.

    Parameters
    ----------
    trace : Trace
    path : str or os.PathLike
        By custom it ends in ``.trace``. The same trace gives the same bytes.

    Raises
    ------
    ValueError
        An array has a name or a dtype that has no place in the file.
    FileNotFoundError
        The folder of `path` does not exist.
    """
    arrays = {name: np.asarray(trace.arrays[name]) for name in sorted(trace.arrays)}
    for name, array in arrays.items():
        if not _NAME.fullmatch(name):
            raise ValueError(f"save: a trace's file has no place for an array named {name!r}")
        if array.dtype.kind not in "biufc":
            raise ValueError(f"save: '{name}' has dtype {array.dtype}, which is none of numbers")
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr(
            _member(_TEXT), schema.to_json(trace.records), zipfile.ZIP_DEFLATED, compresslevel=6
        )
        for name, array in arrays.items():
            large = array.nbytes > zipfile.ZIP64_LIMIT // 2
            with archive.open(_member(f"{name}.npy"), "w", force_zip64=large) as member:
                little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
                np.lib.format.write_array(member, little, version=(1, 0), allow_pickle=False)


def _member(name: str) -> zipfile.ZipInfo:
    # Without these, the time and the system of writing would be part of the bytes.
    member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    member.create_system = 3
    member.external_attr = 0o644 << 16
    return member


def load(path: str | os.PathLike[str]) -> Trace:
    """Read a trace from its file.

    Parameters
    ----------
    path : str or os.PathLike
        Written by `Trace.save`.

    Returns
    -------
    Trace
        Without a tape: what needs a replay is what was computed before saving.

    Raises
    ------
    TraceFileError
        The file is none of a trace, of another version, cut short, damaged, or edited so that it
        contradicts itself.
    FileNotFoundError, IsADirectoryError
        There is no such file, or it is a folder.

    Examples
    --------
    >>> import tempfile
    >>> import minires as mr
    >>> x = mr.tensor([1.0, 2.0], requires_grad=True)
    >>> with mr.trace.record(save="full") as trace:
    ...     mr.ops.residual_add(x, 3 * x).sum().backward()
    >>> path = Path(tempfile.mkdtemp()) / "step.trace"
    >>> trace.save(path)
    >>> mr.trace.load(path).arrays["gradient/0"]
    array([4., 4.], dtype=float32)
    """
    place = Path(path)
    if place.is_dir():
        raise IsADirectoryError(f"cannot load '{path}': it is a folder; name a file inside it")
    if not place.exists():
        raise FileNotFoundError(f"cannot load '{path}': there is no such file")
    with place.open("rb") as file:
        try:
            return _read(file, place.stat().st_size)
        except TraceFileError as error:
            raise TraceFileError(f"cannot load '{path}' as a trace: {error}") from None


def _read(file: IO[bytes], size: int) -> Trace:
    with _refused("it is no zip archive, or was cut short"):
        archive = zipfile.ZipFile(file)
    with archive:
        members = {member.filename: member for member in archive.infolist()}
        _check_members(archive.infolist(), members, size)
        with _refused(f"'{_TEXT}' is damaged"):
            text = archive.read(members.pop(_TEXT))
        if text.count(b"[") + text.count(b"{") > _MOST_NESTED:
            raise TraceFileError(f"'{_TEXT}' has more than {_MOST_NESTED} lists and records")
        try:
            records = schema.from_json(text)
            integrity.check(records)
        except (schema.TextError, integrity.BrokenRecordsError) as error:
            raise TraceFileError(f"in its '{_TEXT}', {error}") from None
        arrays = {}
        for name, member in members.items():
            key = name.removesuffix(".npy")
            with _refused(f"its array '{name}' is damaged"):
                arrays[key] = _read_array(archive.read(member))
            _check_array(key, arrays[key], records)
    if records.budget.replay_state == "kept":
        records.budget.replay_state = _LEFT_BEHIND
        records.budget.replay = 0
    return Trace(records, arrays)


@contextmanager
def _refused(what: str) -> Iterator[None]:
    try:
        yield
    except _READER_ERRORS as error:
        if isinstance(error, TraceFileError):
            raise
        raise TraceFileError(f"{what} ({str(error) or type(error).__name__})") from None


def _check_members(
    listed: list[zipfile.ZipInfo], members: dict[str, zipfile.ZipInfo], size: int
) -> None:
    """Check what the archive says of its members, before any of it is believed."""
    if _TEXT not in members:
        kind = "it is an npz of arrays" if members else "the archive is empty"
        raise TraceFileError(f"there is no '{_TEXT}' in it: {kind}, not a trace")
    if len(listed) > len(members):
        raise TraceFileError("two of its members have the same name")
    # Arrays are stored as they are, so that none can claim more than the file has.
    if sum(member.compress_size for member in listed) > size:
        raise TraceFileError(f"its members claim more bytes than the file has ({size})")
    for name, member in members.items():
        if len(member.extra) + len(member.comment) >= _ENTRY:
            raise TraceFileError(f"'{name}' has remarks, which hide what follows it")
        if member.flag_bits & 0x1:
            raise TraceFileError(f"'{name}' is encrypted")
        if name == _TEXT:
            if member.file_size > max(1 << 20, _DENSEST * member.compress_size):
                raise TraceFileError(
                    f"'{_TEXT}' would unpack {member.compress_size} bytes to {member.file_size},"
                    " as no trace does"
                )
            if member.file_size > _LARGEST:
                raise TraceFileError(
                    f"'{_TEXT}' has {member.file_size} bytes; at most {_LARGEST} are read"
                )
        elif not (name.endswith(".npy") and _NAME.fullmatch(name)):
            raise TraceFileError(f"{name[:80]!r} is neither '{_TEXT}' nor the name of an array")
        elif member.compress_type != zipfile.ZIP_STORED or member.file_size > size:
            raise TraceFileError(f"its array '{name}' is not stored as it is, without compression")


def _read_array(content: bytes) -> npt.NDArray[Any]:
    """Read an array as NumPy's ``write_array`` lays it out: a dict of three entries, then data."""
    start = 10 + int.from_bytes(content[8:10], "little")
    header = _HEADER.fullmatch(content[:start])
    if header is None:
        raise ValueError("it does not open like an .npy of numbers")
    dtype = np.dtype(header[1].decode())
    shape = tuple([int(length) for length in header[2].replace(b",", b" ").split()])
    # In Python's integers, which do not overflow as NumPy's would.
    if math.prod(shape) * dtype.itemsize != len(content) - start:
        raise ValueError(f"its shape {shape} does not fit its {len(content)} bytes")
    # The conversion copies, so that the array can be written to.
    numbers = np.frombuffer(memoryview(content)[start:], dtype)
    return numbers.astype(dtype.newbyteorder("=")).reshape(shape)


def _check_array(key: str, array: npt.NDArray[Any], records: Records) -> None:
    """Check an array against the records that it belongs to."""
    kind, *numbers = key.split("/")
    if kind not in ("value", "gradient", "part", "spectrum"):
        return
    try:
        if kind == "spectrum":
            of, crossed = numbers
            (spectrum,) = [s for s in records.spectra if s.value == int(of)]
            if crossed != "total":
                spectrum.norms[int(crossed)]
            value = records.values[int(of)]
        elif kind == "part":
            turn, place = map(int, numbers)
            visit = records.backward[turn]
            visit.parts[place]
            value = records.values[visit.value]
        else:
            (index,) = map(int, numbers)
            value = records.values[index]
    except (IndexError, ValueError):
        raise TraceFileError(f"its array '{key}' belongs to nothing in its '{_TEXT}'") from None
    if array.shape != value.shape or (kind == "value" and str(array.dtype) != value.dtype):
        raise TraceFileError(
            f"its array '{key}' is {array.dtype} {array.shape}; its '{_TEXT}' says"
            f" {value.dtype} {value.shape}"
        )
