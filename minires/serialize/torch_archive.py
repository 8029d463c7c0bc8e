"""Read the archives that `torch.save` writes, without PyTorch and without running anything.

Two formats hold the same pickle. Since PyTorch 1.6 it is a zip archive, in one folder:
``data.pkl``, ``byteorder``, and ``data/0``, ``data/1``, ... with the values. Before, five pickles
stood in a row (a magic number, a version, the system, the object, the storages' keys), and then,
for each key, the number of values in 8 bytes and the values.
"""

from __future__ import annotations

import io
import math
import os
import struct
import zipfile
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .bfloat16 import widened
from .existing import existing_file
from .recognise import NPZ, is_npz, opens_as_safetensors
from .torch_pickle import Storage, StridedTensor, TorchArchiveError, run_pickle, shown

__all__ = ["load_torch"]

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001
_MOST_DEPTH = 100
_MOST_VALUES = 100_000  # plain ones; what stands in several places counts in each
# Tensors may share a storage, and bfloat16 grows to float32, but no weights grow like this.
_MOST_GROWTH = 8
_ROOM = 2**20
_BAD_ZIP = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, ValueError),
    *(OSError, EOFError, OverflowError, struct.error),
)


def load_torch(path: str | os.PathLike[str]) -> Any:
    """Read what is in a PyTorch archive (.pth, .pt, .th), with arrays in place of tensors.

    PyTorch is not needed, and nothing in the file can run: of all classes and functions only the
    tensor's own, `OrderedDict` and `torch.Size` are known, and stood in for by code of minires.
    To put weights into a model, use `minires.models.load_weights`.

    Parameters
    ----------
    path : str or os.PathLike
        A file that `torch.save` wrote, in its zip format or in that before PyTorch 1.6.

    Returns
    -------
    Any
        What was saved, of dictionaries (ordered or not), lists, tuples, text, bytes, numbers and
        None, with a `numpy.ndarray` for each tensor and parameter: in C order, writable, and
        sharing memory with nothing, with the tensor's dtype, but float32 for bfloat16.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    IsADirectoryError
        ``path`` is a folder.
    TorchArchiveError
        The file is damaged, or holds anything else; a `ValueError`.

    Notes
    -----
    The file is read whole, and with its parts and the arrays takes three times its size. Whatever
    a file says, it is never more than some twelve times, and 100 MB.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "model.pth"
    >>> import pickle
    >>> parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {"epoch": 3}, []]
    >>> _ = path.write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in parts))
    >>> load_torch(path)
    {'epoch': 3}
    """
    file = existing_file(path)
    contents = file.read_bytes()
    try:
        if opens_as_safetensors(contents) or not contents.startswith((b"PK", b"\x80")):
            raise TorchArchiveError(_foreign(contents))
        read = _read_zip if contents.startswith(b"PK") else _read_legacy
        value, storages = read(contents)
        return _Arrays(storages, len(contents) * _MOST_GROWTH + _ROOM).plain(value)
    except TorchArchiveError as error:
        raise TorchArchiveError(f"cannot load '{file}': {error}") from None


def _foreign(contents: bytes) -> str:
    if not contents:
        return "the file is empty"
    if opens_as_safetensors(contents):
        return "it looks like a safetensors file; read it with minires.load"
    return f"no PyTorch archive opens with its first bytes, {shown(contents[:8])}"


def _read_zip(contents: bytes) -> tuple[Any, dict[str, npt.NDArray[Any]]]:
    members = _members(contents)
    pickles = [name for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise TorchArchiveError(
            f"it is a zip archive with {len(pickles)} files data.pkl in a folder at its top;"
            " PyTorch writes one"
        )
    root = pickles[0].removesuffix("data.pkl")
    if f"{root}constants.pkl" in members:
        raise TorchArchiveError(
            "it is a TorchScript archive, which holds a program; save the model's state_dict"
        )
    byte_order = members.get(f"{root}byteorder", b"little")
    if byte_order not in (b"little", b"big"):
        raise TorchArchiveError(f"it states the byte order {shown(byte_order)}")
    stream = io.BytesIO(members[pickles[0]])
    value, wanted = run_pickle(stream)
    _refuse_rest(stream, "its pickle")
    storages = {}
    for key, storage in wanted.items():
        raw = members.get(f"{root}data/{key}")
        if raw is None:
            raise TorchArchiveError(f"the storage {shown(key)} is missing in it")
        storages[key] = _values(storage, raw, "<" if byte_order == b"little" else ">")
    return value, storages


def _members(contents: bytes) -> dict[str, bytes]:
    """Read all files of a zip archive, if they are what PyTorch writes: plain copies, once each."""
    try:
        with zipfile.ZipFile(io.BytesIO(contents)) as archive:
            infos = archive.infolist()
            if is_npz(archive.namelist()):
                raise TorchArchiveError(f"{NPZ}, and save its arrays with minires.save")
            for info in infos:
                _check_member(info)
            if sum(info.file_size for info in infos) > len(contents):
                raise TorchArchiveError(
                    f"its files should have {sum(info.file_size for info in infos):,} bytes, but"
                    f" the archive has {len(contents):,}"
                )
            if len({info.filename for info in infos}) < len(infos):
                raise TorchArchiveError("two files in the archive have the same name")
            return {info.filename: archive.read(info) for info in infos}
    except TorchArchiveError:
        raise
    except _BAD_ZIP as error:
        reason = shown(str(error)).strip("'\"")
        raise TorchArchiveError(
            f"it is a zip archive that was cut short or damaged ({reason}); download it again"
        ) from None


def _check_member(info: zipfile.ZipInfo) -> None:
    name = info.orig_filename
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or set(name) & set("\\\0"):
        raise TorchArchiveError(f"a file in the archive has the name {shown(name)}")
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise TorchArchiveError(
            f"{shown(name)} in the archive is compressed, which torch.save never does; unpack the"
            " archive, and pack it without compression"
        )


def _read_legacy(contents: bytes) -> tuple[Any, dict[str, npt.NDArray[Any]]]:
    stream = io.BytesIO(contents)
    if run_pickle(stream)[0] != _MAGIC_NUMBER:
        raise TorchArchiveError("it is a pickle, but torch.save did not write it")
    version = run_pickle(stream)[0]
    if version != _LEGACY_VERSION:
        raise TorchArchiveError(f"it is of version {shown(version)}; {_LEGACY_VERSION} is known")
    run_pickle(stream)  # of the system; the values are little-endian on all
    value, wanted = run_pickle(stream)
    keys = run_pickle(stream)[0]
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise TorchArchiveError("the list of its storages is damaged")
    if any(key not in wanted for key in keys) or len(set(keys)) < max(len(keys), len(wanted)):
        raise TorchArchiveError(
            f"it lists {len(keys)} storages, but its tensors need {len(wanted)}, or others"
        )
    storages = {}
    for key in keys:
        storage = wanted[key]
        count = int.from_bytes(stream.read(8), "little")
        if count != storage.count:
            raise TorchArchiveError(
                f"the storage {shown(key)} should have {storage.count} values, but states"
                f" {count}: the file was cut short or damaged"
            )
        raw = stream.read(count * _stored_dtype(storage).itemsize)
        storages[key] = _values(storage, raw, "<")
    _refuse_rest(stream, "the last storage")
    return value, storages


def _refuse_rest(stream: io.BytesIO, what: str) -> None:
    rest = len(stream.getbuffer()) - stream.tell()
    if rest:
        raise TorchArchiveError(f"{rest:,} bytes follow {what}, where nothing should")


def _stored_dtype(storage: Storage) -> np.dtype[Any]:
    # A bool of PyTorch's is a byte, and NumPy has no bfloat16.
    return np.dtype({"bool": "uint8", "bfloat16": "uint16"}.get(storage.dtype, storage.dtype))


def _values(storage: Storage, raw: bytes, order: Literal["<", ">"]) -> npt.NDArray[Any]:
    """Return a storage's values, on one axis, in native byte order."""
    dtype = _stored_dtype(storage)
    if len(raw) != storage.count * dtype.itemsize:
        raise TorchArchiveError(
            f"the storage {shown(storage.key)} should have {storage.count} values of"
            f" {dtype.itemsize} bytes, but has {len(raw)} bytes: the file was cut short or damaged"
        )
    values: npt.NDArray[Any] = np.frombuffer(raw, dtype.newbyteorder(order)).astype(
        dtype, copy=False
    )
    if storage.dtype == "bool":
        return values.astype(np.bool_)
    if storage.dtype == "bfloat16":
        return widened(values)
    return values


class _Arrays:
    """Puts arrays in place of tensors, within limits of depth, number and memory."""

    def __init__(self, storages: Mapping[str, npt.NDArray[Any]], room: int) -> None:
        self.storages = storages
        self.room = room
        self.left = _MOST_VALUES

    def plain(self, value: Any, depth: int = 0) -> Any:
        """Return the value as a tree: what contains itself, or doubles at each step, never ends."""
        self.left -= 1
        if depth > _MOST_DEPTH or self.left < 0:
            raise TorchArchiveError(
                f"its values are nested more than {_MOST_DEPTH} deep, or are more than"
                f" {_MOST_VALUES:,}, counting what stands in several places in each"
            )
        match value:
            case StridedTensor():
                return self.array(value)
            case dict():
                return {key: self.plain(item, depth + 1) for key, item in value.items()}
            case list() | tuple():
                return type(value)([self.plain(item, depth + 1) for item in value])
            case None | bool() | int() | float() | str() | bytes():
                return value
        raise TorchArchiveError(f"it holds {shown(value)} by itself, not in a tensor")

    def array(self, tensor: StridedTensor) -> npt.NDArray[Any]:
        """Copy a tensor's values out of its storage."""
        values = self.storages[tensor.storage.key]
        size = tensor.size
        count = math.prod(size)
        self.room -= count * values.itemsize
        # NumPy asks the size of an empty array, too, to be possible.
        if self.room < 0 or math.prod(max(n, 1) for n in size) >= 2**48:
            raise TorchArchiveError(
                f"its tensors would take more than {_MOST_GROWTH} times the file's own size; there"
                f" is one of shape {size}, in a storage of {values.size} values"
            )
        if count == 0:
            return np.empty(size, values.dtype)
        # The stride of an axis of one never matters, and may be anything.
        strides = [step if n > 1 else 0 for n, step in zip(size, tensor.stride, strict=True)]
        last = tensor.offset + sum((n - 1) * step for n, step in zip(size, strides, strict=True))
        if last >= values.size:
            raise TorchArchiveError(
                f"a tensor of shape {size}, strides {tensor.stride} and offset {tensor.offset}"
                f" reaches beyond its storage of {values.size} values"
            )
        width = values.itemsize
        in_bytes = [step * width for step in strides]
        view: npt.NDArray[Any] = np.ndarray(
            size, values.dtype, values, tensor.offset * width, in_bytes
        )
        return np.array(view, order="C")
