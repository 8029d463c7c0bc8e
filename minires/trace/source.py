"""Which line of whose program called an op."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

_PACKAGE = str(Path(__file__).resolve().parents[1]) + os.sep
# What every op runs through says nothing of where it stands.
_PLUMBING = tuple(
    _PACKAGE + part.replace("/", os.sep)
    for part in (
        "autograd/",
        "ops/",
        "trace/",
        *(
            f"nn/{name}.py"
            for name in ("module", "containers", "sequential", "layers", "functions")
        ),
        *(f"nn/{name}.py" for name in ("pooling", "noise", "scaling")),
        "models/parts.py",
    )
)


def caller() -> str:
    """Return "file:line" of the nearest code that is neither engine, op nor layer."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_plumbing(frame.f_code.co_filename):
        frame = frame.f_back
    return f"{_short(frame.f_code.co_filename)}:{frame.f_lineno}"


@functools.lru_cache(maxsize=256)
def _is_plumbing(file: str) -> bool:
    return file.startswith(_PLUMBING)


@functools.lru_cache(maxsize=256)
def _short(file: str) -> str:
    """Name a file of minires by its place there, one below the current folder by its way from it.

    Of others the last two names are given: a trace that travels need not tell whose machine made
    it.
    """
    if file.startswith(_PACKAGE):
        return "minires/" + file[len(_PACKAGE) :].replace(os.sep, "/")
    path = Path(file)
    if path.parent.name.startswith("ipykernel_"):  # a name that is another in every kernel
        return "notebook cell"
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except (ValueError, OSError):
        return "/".join(path.parts[-2:])
