"""Running a user's Python file without letting it decide how the command ends."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType


class UserCodeError(Exception):
    """The user's code raised something; the message says what, and where in their file."""


@contextlib.contextmanager
def users_turn(file: Path, doing: str) -> Iterator[None]:
    """Run the block, which calls the user's code: it prints to stderr, and cannot exit.

    Parameters
    ----------
    file : Path
        The user's file, whose line is told.
    doing : str
        What failed if it fails: ``"importing it"``.

    Raises
    ------
    UserCodeError
        If the block raises or exits.
    """
    try:
        # stdout is the report's, which a program may read.
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except SystemExit as error:
        raise UserCodeError(f"{file}: {doing} called sys.exit({error.code!r})") from None
    except Exception as error:
        told = traceback.format_exception_only(error)[-1].strip()
        raise UserCodeError(f"{_place(file, error)}: {doing} raised {told}") from error


def _place(file: Path, error: Exception) -> str:
    """Name the last line of the user's file that was running."""
    if isinstance(error, SyntaxError) and error.filename == str(file.resolve()):
        return f"{file}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(file.resolve())]
    return f"{file}, line {lines[-1]}" if lines else str(file)


@contextlib.contextmanager
def loaded(file: Path) -> Iterator[ModuleType]:
    """Import a file for the length of the block, as Python would run it in its folder.

    Raises
    ------
    UserCodeError
        If that raises or exits.
    """
    name = f"_checked_by_minires_{file.stem}"  # under its own, it might hide a library's module
    path, folder = str(file.resolve()), str(file.resolve().parent)
    loader = SourceFileLoader(name, path)
    module = module_from_spec(ModuleSpec(name, loader, origin=path))
    module.__file__ = path
    sys.modules[name] = module  # dataclasses and pickles look for it
    sys.path.insert(0, folder)
    try:
        with users_turn(file, "importing it"):
            loader.exec_module(module)
        yield module
    finally:
        with contextlib.suppress(ValueError):  # the file may have changed the path itself
            sys.path.remove(folder)
        sys.modules.pop(name, None)
