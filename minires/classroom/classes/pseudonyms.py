"""Names under which graders do not know who it is."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from ..assignment import AssignmentError

__all__ = ["pseudonym_key", "pseudonym_of"]

_KEY = "pseudonyms.key"
_BYTES = 32


def pseudonym_key(out: Path) -> bytes:
    """Return the key of a folder of results; the first time it is drawn.

    Whoever has it, and the roster, can tell who is who.

    Raises
    ------
    AssignmentError
        If there is one that is damaged.
    """
    path = out / _KEY
    out.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(path)
    key = secrets.token_bytes(_BYTES)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(key.hex() + "\n")
    return key


def _read(path: Path) -> bytes:
    """Return a key, which was broken off when it was written if it is too short.

    With an empty one, whoever tries names could tell who is who.
    """
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except ValueError:
        key = b""
    if len(key) != _BYTES:
        raise AssignmentError(f"'{path}' is damaged; grade into another folder")
    return key


def pseudonym_of(id: str, key: bytes) -> str:
    """Return what somebody is called instead: a keyed hash, which cannot be found by trying names.

    Examples
    --------
    >>> pseudonym_of("ada", bytes(32))
    's-b84d0129ca'
    """
    return "s-" + hashlib.blake2b(id.encode(), key=key, digest_size=5).hexdigest()
