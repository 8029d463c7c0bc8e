"""A runner that remembers what came of files which are as they were."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..syntax import NotPythonError, imported_by, parsed
from .processes import Answer, Runner

__all__ = ["Remembering"]

# Answers: far more than any assignment comes to, and no more than a day of watching may take up.
_MOST = 4096


class Remembering:
    """A runner that runs nothing twice for files which are as they were.

    What a function returns may have changed if its file has, or one that this imports.

    Parameters
    ----------
    runner : Runner
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._known: dict[Any, tuple[Answer, Any]] = {}

    def __call__(
        self,
        file: Path,
        function: str,
        calls: Sequence[tuple[Any, ...]],
        seconds: float,
        **also: Any,
    ) -> Answer:
        """Call the function with each of `calls`, or remember what came of it."""
        # Calls are those of a check. They are kept, so that no others get their id.
        if "given" in also:  # for which the same calls come to something else
            return self._runner(file, function, calls, seconds, **also)
        key = (function, id(calls), frozenset(_with_imports(file).items()))
        if key not in self._known:
            if len(self._known) >= _MOST:
                del self._known[next(iter(self._known))]  # the first
            self._known[key] = self._runner(file, function, calls, seconds, **also), calls
        return self._known[key][0]

    def forget(self) -> None:
        """Run everything again."""
        self._known.clear()


def _with_imports(file: Path) -> dict[str, bytes | None]:
    """Return what is in a file, and in those of its folder that it imports."""
    found: dict[str, bytes | None] = {}
    todo = [file]
    while todo:
        path = todo.pop()
        if path.name in found:
            continue
        found[path.name] = code = content(path)
        try:
            modules = imported_by(parsed(code or b""))
        except NotPythonError:
            continue
        todo += [each for name in modules if (each := file.with_name(f"{name}.py")).is_file()]
    return found


def content(path: Path) -> bytes | None:
    """Return what is in a file; nothing, if it is not there or, for a moment, somebody else's."""
    try:
        return path.read_bytes()
    except OSError:
        return None
