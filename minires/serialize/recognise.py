"""Tell PyTorch's archives from safetensors files, and say what else a file is."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

__all__ = ["NPZ", "describe_foreign_file", "is_npz", "is_torch_archive", "opens_as_safetensors"]

_LENGTH_FIELD = 8  # a safetensors file opens with its header's length: 8 bytes, little-endian
_LONGEST_HEADER = 100_000_000  # and the format allows no longer one

_ADVICE_PYTORCH = (
    "minires.models.load_weights(model, path) puts such weights into a model, and "
    "minires.serialize.load_torch(path) reads their arrays, without running anything in the file"
)

NPZ = "it is a NumPy .npz archive; read it with numpy.load"

_SIGNATURES = (
    (b"\x93NUMPY", "a NumPy .npy array; read it with numpy.load"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras weights, perhaps), which minires does not read"),
    (b"\x1f\x8b", "gzip-compressed; decompress it first"),
)


def describe_foreign_file(path: Path) -> str:
    """Describe, in half a sentence, why a file is not a readable safetensors file.

    Parameters
    ----------
    path : pathlib.Path
        A file that exists and that the safetensors reader refused.

    Returns
    -------
    str
        What the file was found to be, with advice where there is any.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "weights.safetensors"
    >>> path.write_bytes(b"")
    0
    >>> describe_foreign_file(path)
    'the file is empty'
    """
    size = path.stat().st_size
    head = _head(path)
    if size == 0:
        return "the file is empty"
    if opens_as_safetensors(head):
        return _describe_broken_safetensors(size, _header_length(head))
    for signature, meaning in _SIGNATURES:
        if head.startswith(signature):
            return f"it is {meaning}"
    if head.startswith(b"PK"):
        return _describe_zip(path)
    if _opens_as_pickle(head):
        return f"it is a Python pickle, perhaps an older PyTorch checkpoint; {_ADVICE_PYTORCH}"
    return f"its first bytes are {head[:_LENGTH_FIELD]!r}, which no safetensors file opens with"


def is_torch_archive(path: Path) -> bool:
    """Tell from its first bytes whether a file is rather a PyTorch archive than safetensors."""
    head = _head(path)
    return not opens_as_safetensors(head) and (head.startswith(b"PK") or _opens_as_pickle(head))


def is_npz(names: Sequence[str]) -> bool:
    """Tell from the names of its files whether a zip archive is NumPy's."""
    return bool(names) and all(name.endswith(".npy") for name in names)


def opens_as_safetensors(head: bytes) -> bool:
    """Tell whether 9 or more bytes of a file may be the first of a safetensors file.

    Its header's length may look like a pickle's (640 bytes) or a zip archive's (19,280 bytes)
    first two; neither has a brace behind the eighth.
    """
    brace = head[_LENGTH_FIELD : _LENGTH_FIELD + 1] == b"{"
    return brace and _header_length(head) <= _LONGEST_HEADER


def _header_length(head: bytes) -> int:
    return int.from_bytes(head[:_LENGTH_FIELD], "little")


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LENGTH_FIELD + 1)


def _opens_as_pickle(head: bytes) -> bool:
    return len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5


def _describe_broken_safetensors(size: int, header_length: int) -> str:
    if _LENGTH_FIELD + header_length > size:
        return (
            f"its header should be {header_length} bytes long, but the whole file has {size} "
            "bytes: it was cut short; download or save it again"
        )
    return (
        "it opens like a safetensors file, but its header does not fit the bytes that follow: "
        "it was cut short or damaged; download or save it again"
    )


def _describe_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return "it opens like a zip archive (PyTorch's and NumPy's are such), but was cut short"
    if any(name.endswith("data.pkl") for name in names):
        return f"it is a PyTorch archive written by torch.save; {_ADVICE_PYTORCH}"
    if is_npz(names):
        return NPZ
    return "it is a zip archive; unpack it first"
