"""What CuPy 14.2 offers, as `snapshot.py` recorded it: names, and the arguments they take."""

from __future__ import annotations

import functools
import inspect
import json
from pathlib import Path
from typing import Any

SNAPSHOT: dict[str, Any] = json.loads(
    Path(__file__).with_name("cupy_snapshot.json").read_text("utf-8")
)
VERSION: str = SNAPSHOT["version"]
UFUNCS: dict[str, dict[str, Any]] = SNAPSHOT["ufuncs"]
UFUNC_KEYWORDS = frozenset(SNAPSHOT["ufunc"])


@functools.cache
def names(room: str) -> frozenset[str]:
    """Public names of a module or class, such as ``"cupy.linalg"``."""
    return frozenset(SNAPSHOT["names"][room])


def is_room(path: str) -> bool:
    """Tell whether the names below `path` were recorded."""
    return path in SNAPSHOT["names"]


@functools.cache
def signature(path: str) -> inspect.Signature | None:
    """Signature of ``"cupy.clip"`` and the like; None where CuPy does not tell, or takes any."""
    spelled = SNAPSHOT["signatures"].get(path)
    if spelled is None:
        return None
    return inspect.signature(eval(f"lambda {spelled.replace('=', '=None')}: None"))


def check_call(path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise TypeError where CuPy's function does not take these arguments."""
    found = signature(path)
    if found is None:
        return
    try:
        found.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{path}{found}: {error}".replace("=None", "=...")) from None
