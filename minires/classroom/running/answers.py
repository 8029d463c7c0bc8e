"""Reading what a process with somebody else's code wrote, which may be anything."""

from __future__ import annotations

import io
import json
import math
import os
import stat
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import child
from .printable import as_printable

__all__ = ["MOST_BYTES", "Answer", "read_answer"]

# Far more than any check returns.
MOST_BYTES = 64 * 2**20
_MOST_STRUCTURE = 2**20
_DEEPEST = 50


class Answer(NamedTuple):
    """What a process came to.

    Attributes
    ----------
    outcomes : list of dict
        Of the calls, as `child` tells them; fewer than calls if it ended before.
    said : str
        What was printed.
    ended : str
        "" if it ended by itself and wrote an answer, else why there is none: ``"time"``,
        ``"killed"`` or ``"unreadable"``.
    incidents : tuple of str
        Short facts for the instructor: what it did that no solution does. They cost no points.
    """

    outcomes: list[dict[str, Any]]
    said: str
    ended: str
    incidents: tuple[str, ...] = ()


class _UnreadableError(ValueError):
    """An answer that `child` would not have written."""


def read_answer(out: Path, calls: Sequence[tuple[Any, ...]]) -> Answer:
    """Read what a child wrote of calls, and believe none of it.

    Parameters
    ----------
    out : Path
    calls : sequence of tuple
        What it was asked, which tells how many outcomes there can be, of how many arguments.
    """
    try:
        told = _value(_bytes(out))
        outcomes = told["outcomes"]
        if not _are_outcomes(outcomes, calls) or not isinstance(told["said"], str):
            raise _UnreadableError("it is not built like an answer")
        noted = told["noted"]
        if not _is_texts(noted):
            raise _UnreadableError("its notes are not texts")
    except FileNotFoundError:
        return Answer([], "", "killed")
    except _UnreadableError as error:
        return Answer([], "", "unreadable", (f"an unreadable answer: {error}",))
    except Exception as error:  # of json, zipfile or NumPy, which met what they were not made for
        return Answer([], "", "unreadable", (f"an unreadable answer: {type(error).__name__}",))
    incidents = [each[: child.MOST_TEXT] for each in noted[: child.MOST_NOTED]]
    if any(each.get("error") == "MemoryError" for each in outcomes):
        incidents.append("ran out of memory")
    return Answer(outcomes, told["said"][: child.MOST_OUTPUT], "", tuple(incidents))


def _bytes(path: Path) -> bytes:
    """Read a file that nobody else has a name for: no link, no pipe, nothing of somebody's own."""
    # Windows has neither, and no such traps in a folder of one's own.
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(path, os.O_RDONLY | flags)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _UnreadableError("it is no plain file") from error
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise _UnreadableError("it is no plain file")
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise _UnreadableError(f"it is larger than {MOST_BYTES} bytes")
    return data


def _value(data: bytes) -> Any:
    """Return the value in the bytes of an .npz, the size of which bounds what it takes to read."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        # `child.dump` does not compress. What is not compressed cannot grow.
        if any(each.compress_type != zipfile.ZIP_STORED for each in members):
            raise _UnreadableError("it is compressed")
        if sum(each.file_size for each in members) > len(data):
            raise _UnreadableError("it says it is larger than it is")
        arrays = {
            each.filename.removesuffix(".npy"): _array(archive.read(each)) for each in members
        }
    structure = arrays.pop(child.STRUCTURE)
    if structure.nbytes > _MOST_STRUCTURE:
        raise _UnreadableError("it has too many parts")
    return _checked(json.loads(structure.tobytes().decode()), arrays, 0)


def _array(data: bytes) -> np.ndarray:
    """Return the array in the bytes of an .npy, if it is of numbers and as large as it says."""
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise _UnreadableError("an array in it has a header of another version")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind not in "biufc" or dtype.fields or dtype.subdtype:
        raise _UnreadableError(f"an array in it is of {dtype.kind!r}, not of numbers")
    if math.prod(shape) * dtype.itemsize != len(data) - file.tell():
        raise _UnreadableError("an array in it is not as large as it says")
    # A copy: arguments of later calls are compared with it, and bytes cannot be written to.
    flat = np.frombuffer(data, dtype, offset=file.tell()).copy()
    return flat.reshape(shape, order="F" if fortran else "C")


def _checked(packed: Any, arrays: dict[str, np.ndarray], depth: int) -> Any:
    """Unpack what `child.dump` packed; each array once, so that none can be made many."""
    if depth > _DEEPEST:
        raise _UnreadableError("its values lie in one another too deep")
    if isinstance(packed, str):
        return as_printable(packed[: child.MOST_OUTPUT], child.MOST_TEXT)
    if isinstance(packed, int) and not -(2**63) <= packed < 2**63:
        raise _UnreadableError("a whole number in it has more than 64 bits")
    if packed is None or isinstance(packed, bool | int | float):
        return packed
    if not isinstance(packed, dict):
        raise _UnreadableError("it is not built like an answer")
    if "array" in packed:
        return arrays.pop(packed["array"])
    [(kind, parts)] = packed.items()
    if kind == "dict":
        return {
            _checked(str(key), arrays, depth): _checked(each, arrays, depth + 1)
            for key, each in parts
        }
    values = [_checked(each, arrays, depth + 1) for each in parts]
    return {"list": list, "tuple": tuple}[kind](values)


def _are_outcomes(outcomes: Any, calls: Sequence[tuple[Any, ...]]) -> bool:
    return (
        isinstance(outcomes, list)
        and len(outcomes) <= len(calls)
        and all(_is_outcome(each, call) for each, call in zip(outcomes, calls, strict=False))
    )


def _is_outcome(outcome: Any, call: tuple[Any, ...]) -> bool:
    if not isinstance(outcome, Mapping):
        return False
    if not all(_is_count(outcome.get(name, 0)) for name in ("calls", "kept")):
        return False
    if "missing" in outcome:
        return isinstance(outcome["missing"], str)
    if "error" in outcome:
        texts = [outcome["error"], outcome.get("message")]
        return _is_texts(texts) and all(_is_texts(outcome.get(key)) for key in ("kinds", "frames"))
    arguments = outcome.get("arguments")
    return (
        isinstance(arguments, list)
        and len(arguments) == len(call)
        and isinstance(outcome.get("shared"), bool)
        and ("result" in outcome or isinstance(outcome.get("unreadable"), str))
    )


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
