"""PyTorch's archives, put together by hand: an assembler of pickles, and both containers."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Mapping

import numpy as np

STORAGE_OF = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}
MAGIC_NUMBER = 0x1950A86A20F9469CFC6C


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value: int) -> bytes:
    return pickle.dumps(value, protocol=2)[2:-1]


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def tuple_of(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + tuple_of(*arguments) + b"R"


def mapping(**items: bytes) -> bytes:
    return b"}(" + b"".join(text(key) + item for key, item in items.items()) + b"u"


def program(value: bytes) -> bytes:
    return b"\x80\x02" + value + b"."


def storage(key: str = "0", count: int = 6, kind: str = "FloatStorage") -> bytes:
    named = name("torch", kind)
    return tuple_of(text("storage"), named, text(key), text("cpu"), number(count)) + b"Q"


def tensor(
    size: tuple[int, ...] = (2, 3),
    stride: tuple[int, ...] = (3, 1),
    offset: int = 0,
    values: bytes | None = None,
) -> bytes:
    return call(
        name("torch._utils", "_rebuild_tensor_v2"),
        values or storage(),
        number(offset),
        tuple_of(*map(number, size)),
        tuple_of(*map(number, stride)),
        b"\x89",
        call(name("collections", "OrderedDict")),
    )


SIX = np.arange(6, dtype="<f4").tobytes()


def zipped(
    value: bytes,
    storages: Mapping[str, bytes] | None = None,
    members: Mapping[str, bytes] | None = None,
    compression: int = zipfile.ZIP_STORED,
) -> bytes:
    """A zip archive of a pickle's value; `members` come on top, by their names in the archive."""
    files = {"archive/data.pkl": program(value), "archive/byteorder": b"little"}
    for key, raw in (storages if storages is not None else {"0": SIX}).items():
        files[f"archive/data/{key}"] = raw
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for member, raw in {**files, **(members or {})}.items():
            archive.writestr(zipfile.ZipInfo(member), raw, compression)
    return buffer.getvalue()


def legacy(value: bytes, storages: Mapping[str, bytes] | None = None, width: int = 4) -> bytes:
    """An archive as before PyTorch 1.6, of values of `width` bytes."""
    needed = {"0": SIX} if b"tQ" in value else {}
    kept = storages if storages is not None else needed
    heads = [MAGIC_NUMBER, 1001, {"little_endian": True}]
    parts = [pickle.dumps(head, protocol=2) for head in heads]
    parts += [program(value), pickle.dumps(list(kept), protocol=2)]
    for raw in kept.values():
        parts += [struct.pack("<q", len(raw) // width), raw]
    return b"".join(parts)
