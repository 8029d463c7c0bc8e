"""Save and load named arrays as safetensors: a JSON header, then plain little-endian memory.

A file in this format can hold nothing but arrays, so reading one can never run code, which
cannot be said of a pickle. Format: https://github.com/huggingface/safetensors
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from .atomic import atomic_write
from .bfloat16 import widened
from .existing import existing_file
from .recognise import describe_foreign_file

__all__ = ["load", "load_metadata", "save"]

_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_STORABLE = frozenset({"bool", *_INTEGERS, "float16", "float32", "float64", "complex64"})
# As what NumPy reads the values of a file: bfloat16 as its bits, and any byte may stand for a bool.
_READ = {
    **{f"{kind}{bits}": f"<{kind.lower()}{bits // 8}" for kind in "IUF" for bits in (16, 32, 64)},
    "I8": "i1",
    "U8": "u1",
    "BOOL": "u1",
    "BF16": "<u2",
    "C64": "<c8",
}
_METADATA_KEY = "__metadata__"
_HEADER_ALIGNMENT = 8  # the format pads its header with spaces, so that the data stays aligned


@runtime_checkable
class _HasNumpy(Protocol):
    def numpy(self) -> npt.NDArray[Any]: ...


def save(
    state: Mapping[str, npt.NDArray[Any] | np.generic | _HasNumpy],
    path: str | os.PathLike[str],
    *,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write named arrays to a safetensors file, whole or not at all.

    The same state gives the same bytes. Memory order is not kept: a channels-last array is
    written, and comes back, in C order, with the same values at the same indices.

    Parameters
    ----------
    state : mapping of str to array
        Flat: each value is a NumPy array, a NumPy scalar, or a Tensor (anything with
        ``.numpy()``), of any shape, also 0-d and empty. Dtypes: bool, int8 to int64,
        uint8 to uint64, float16, float32, float64, complex64.
    path : str or os.PathLike
        The file to write; one that is there already is replaced only by a complete new one.
    metadata : mapping of str to str, optional
        Notes kept in the file's header; :func:`load_metadata` reads them.

    Raises
    ------
    TypeError
        A name is not a string, a value is not an array, or its dtype has no place in the format.
    ValueError
        A name is reserved or is not valid Unicode.
    FileNotFoundError
        The folder of ``path`` does not exist.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "model.safetensors"
    >>> save({"fc.weight": np.eye(2), "steps": np.int64(3)}, path, metadata={"depth": "20"})
    >>> load(path)["fc.weight"]
    array([[1., 0.],
           [0., 1.]])
    """
    if not isinstance(state, Mapping):
        advice = "; pass its state_dict()" if hasattr(state, "state_dict") else ""
        raise TypeError(
            f"save: expected a mapping of names to arrays, got {type(state).__name__}{advice}"
        )
    arrays = {_checked_name(name): _as_stored(name, value) for name, value in state.items()}
    notes = _checked_metadata(metadata)

    from safetensors.numpy import save as to_bytes

    contents = to_bytes(arrays, metadata=notes or None)
    if notes:
        contents = _with_sorted_header(contents)
    with atomic_write(path) as file:
        file.write(contents)


def load(path: str | os.PathLike[str]) -> dict[str, npt.NDArray[Any]]:
    """Read the arrays of a safetensors file.

    Parameters
    ----------
    path : str or os.PathLike
        A safetensors file, written by :func:`save` or by any other tool.

    Returns
    -------
    dict of str to numpy.ndarray
        Each array with the shape and dtype that it was saved with, but float32 for bfloat16, in C
        order, writable, and sharing memory with nothing.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    IsADirectoryError
        ``path`` is a folder.
    ValueError
        The file is truncated, is of another format (the message says which), or holds a dtype
        that NumPy does not have, such as float8.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "model.safetensors"
    >>> save({"scale": np.float32(0.5)}, path)
    >>> load(path)
    {'scale': array(0.5, dtype=float32)}
    """
    file = existing_file(path)

    from safetensors import SafetensorError, deserialize

    contents = file.read_bytes()
    try:
        return {name: _values(**parts) for name, parts in deserialize(contents)}  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise _unreadable(file, error) from error
    except ValueError as error:  # a dtype or a shape that NumPy does not have
        raise ValueError(f"cannot load '{file}': {error}") from error


def _values(dtype: str, shape: list[int], data: bytes) -> npt.NDArray[Any]:
    """Return an array that owns its memory, in native byte order."""
    if dtype not in _READ:
        raise ValueError(
            f"it holds an array of dtype {dtype}, which NumPy does not have; convert it to float32"
            " with the tool that wrote it"
        )
    kept = np.frombuffer(data, _READ[dtype]).reshape(shape)
    if dtype == "BF16":
        return widened(kept)
    return kept.astype(bool if dtype == "BOOL" else kept.dtype.newbyteorder("="))


def load_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read the notes in a safetensors file's header, without reading its arrays.

    Parameters
    ----------
    path : str or os.PathLike
        A safetensors file.

    Returns
    -------
    dict of str to str
        Empty where the file has none.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    IsADirectoryError
        ``path`` is a folder.
    ValueError
        The file is truncated or is of another format.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "model.safetensors"
    >>> save({}, path, metadata={"depth": "20"})
    >>> load_metadata(path)
    {'depth': '20'}
    """
    file = existing_file(path)

    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as opened:
            return dict(sorted((opened.metadata() or {}).items()))
    except SafetensorError as error:
        raise _unreadable(file, error) from error


def _checked_name(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(
            f"save: every name must be a string, found {name!r} of type {type(name).__name__}"
        )
    if name == _METADATA_KEY:
        raise ValueError(
            f"save: the name '{_METADATA_KEY}' is reserved by the file format; use metadata="
        )
    if not _is_unicode(name):
        raise ValueError(f"save: the name {name!r} cannot be written as UTF-8; rename it")
    return name


def _as_stored(name: str, value: object) -> npt.NDArray[Any]:
    """Return ``value`` as a C-contiguous array in native byte order, or say why it is none."""
    if isinstance(value, Mapping):
        raise TypeError(
            f"save: '{name}' is a nested {type(value).__name__}; flatten it into dotted names, "
            f"such as '{name}.{next(iter(value), 'weight')}'"
        )
    if not isinstance(value, np.ndarray | np.generic):
        if not isinstance(value, _HasNumpy):
            raise TypeError(
                f"save: '{name}' is a {type(value).__name__}, not an array or Tensor; "
                "wrap it with numpy.asarray, or put text into metadata="
            )
        value = value.numpy()
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"save: '{name}' is a masked array, and its mask would be lost; fill it")
    if value.dtype.name not in _STORABLE:
        raise TypeError(
            f"save: '{name}' has dtype {value.dtype}, which a safetensors file cannot hold; "
            "convert it with .astype to a bool, integer or float dtype of at most 64 bits"
        )
    # The writer copies memory as it lies and believes it to be in C order: a transposed or
    # channels-last array would come back with its values permuted. (Not ascontiguousarray,
    # which turns 0-d into 1-d.)
    return np.asarray(value, dtype=value.dtype.newbyteorder("="), order="C")


def _checked_metadata(metadata: Mapping[str, str] | None) -> dict[str, str]:
    notes = dict(metadata or {})
    for key, note in notes.items():
        if not isinstance(key, str) or not isinstance(note, str):
            raise TypeError(
                f"save: metadata holds strings only, found {key!r}: {note!r}; "
                "turn it into text first, with str or json.dumps"
            )
        if not _is_unicode(key + note):
            raise ValueError(f"save: metadata {key!r}: {note!r} cannot be written as UTF-8")
    return notes


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate, as from an undecodable file name
        return False
    return True


def _with_sorted_header(contents: bytes) -> bytes:
    """Put the metadata in order: the writer lets it fall as a hash table has it."""
    header_end = 8 + int.from_bytes(contents[:8], "little")
    header = json.loads(contents[8:header_end])
    header[_METADATA_KEY] = dict(sorted(header[_METADATA_KEY].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _HEADER_ALIGNMENT)
    return len(text).to_bytes(8, "little") + text + contents[header_end:]


def _unreadable(file: Path, error: Exception) -> ValueError:
    return ValueError(
        f"cannot load '{file}' as safetensors: {describe_foreign_file(file)} (reader: {error})"
    )
