"""Counting launches and transfers, and refusing the hidden ones."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import SynchronizedError

_HERE = str(Path(__file__).parent)
_active: list[Counts] = []
_strict: list[bool] = []


class Counts:
    """What happened since the counting began; each a list with a short description of every one.

    Attributes
    ----------
    launches : list of str
        Names of the kernels and functions that ran on the device.
    uploads, downloads : list of str
        ``"array() at ops/x.py:12 < nn/y.py:34"``; a hidden one says ``"hidden float() at ..."``.
    waits : list of str
        Calls of ``synchronize()``, which are asked for as well.
    """

    def __init__(self) -> None:
        self.launches: list[str] = []
        self.waits: list[str] = []
        self.uploads: list[str] = []
        self.downloads: list[str] = []

    def __repr__(self) -> str:
        return (
            f"Counts(launches={len(self.launches)}, uploads={self.uploads},"
            f" downloads={self.downloads})"
        )

    @property
    def hidden(self) -> list[str]:
        """The downloads that no ``.get()`` asked for."""
        return [what for what in self.downloads if what.startswith("hidden")]


@contextmanager
def counting() -> Iterator[Counts]:
    """Count inside the block; counts may be nested."""
    counts = Counts()
    _active.append(counts)
    try:
        yield counts
    finally:
        _active.remove(counts)


@contextmanager
def strict(on: bool = True) -> Iterator[None]:
    """Let hidden synchronisation raise SynchronizedError; `on=False` allows it for a while."""
    _strict.append(on)
    try:
        yield
    finally:
        _strict.pop()


class Watch:
    """Who else is told of launches and transfers: the recorder of a graph, while one captures.

    `recorder` has two methods: ``launch(name, function, reads, writes)``, called *instead of*
    running the function (see `launching.launch`), and ``transfer(kind, what)``, called before every
    upload and download (kind "upload", "download", "hidden download" or "synchronize"), which a
    capture refuses by raising.
    """

    recorder: Any = None


def launched(name: str) -> None:
    """Count a launch."""
    for counts in _active:
        counts.launches.append(name)


def upload(what: str) -> None:
    """Count a copy from the host to the device."""
    _transfer("upload", what)
    if _active:
        where = caller()
        for counts in _active:
            counts.uploads.append(f"{what} at {where}")


def download(what: str) -> None:
    """Count a copy to the host that the code asks for by name."""
    _transfer("download", what)
    if _active:
        where = caller()
        for counts in _active:
            counts.downloads.append(f"{what} at {where}")


def waited(what: str) -> None:
    """Count a wait for the device that the code asks for by name."""
    _transfer("synchronize", what)
    for counts in _active:
        counts.waits.append(f"{what} at {caller()}")


def synchronized(what: str) -> None:
    """Count a copy to the host that nobody asked for; raise inside `strict()`."""
    _transfer("hidden download", what)
    if _strict and _strict[-1]:
        raise SynchronizedError(
            f"{what} of a device array makes the host wait for the device, at {caller()};"
            " keep the value on the device, or ask for it by .get()"
        )
    download(f"hidden {what}")


def _transfer(kind: str, what: str) -> None:
    if Watch.recorder is not None:
        Watch.recorder.transfer(kind, what)


def caller(depth: int = 3) -> str:
    """Return files and lines of the code that called the fake, innermost first."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    places = []
    while frame is not None and len(places) < depth:
        path = Path(frame.f_code.co_filename)
        places.append(f"{'/'.join(path.parts[-2:])}:{frame.f_lineno}")
        frame = frame.f_back
    return " < ".join(places)
