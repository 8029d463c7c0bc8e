"""Random numbers, always drawn on the host, so that every device starts from the same values."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np


class _Streams:
    """One generator per name, all derived from one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.by_name: dict[str, np.random.Generator] = {}

    def get(self, name: str) -> np.random.Generator:
        if name not in self.by_name:
            self.by_name[name] = np.random.default_rng([self.seed, zlib.crc32(name.encode())])
        return self.by_name[name]


_everywhere = _Streams(0)
_here: ContextVar[_Streams | None] = ContextVar("minires_random_streams", default=None)
_name = ContextVar("minires_random_stream_name", default="main")


def manual_seed(seed: int) -> None:
    """Start all random streams anew from `seed`, a non-negative integer.

    Raises
    ------
    ValueError
        If `seed` is negative or no integer.

    Examples
    --------
    >>> import minires as mr
    >>> mr.manual_seed(0)
    >>> a = mr.randn(2)
    >>> mr.manual_seed(0)
    >>> bool((a == mr.randn(2)).all())
    True
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"manual_seed: the seed must be an integer >= 0, found {seed!r}")
    global _everywhere
    streams = _Streams(int(seed))
    if _here.get() is None:
        _everywhere = streams
    else:
        _here.set(streams)


def generator() -> np.random.Generator:
    """Return the generator of the current stream."""
    return (_here.get() or _everywhere).get(_name.get())


def state() -> dict[str, Any]:
    """Return what is needed to draw the same numbers later, in another process too.

    Returns
    -------
    dict
        ``"seed"``, and under ``"streams"`` the state of each stream that was drawn from; plain
        numbers and strings, fit for JSON.

    Examples
    --------
    >>> import minires as mr
    >>> kept = mr.devices.random.state()
    >>> a = mr.randn(2)
    >>> mr.devices.random.restore(kept)
    >>> bool((a == mr.randn(2)).all())
    True
    """
    streams = _here.get() or _everywhere
    drawn = {name: made.bit_generator.state for name, made in streams.by_name.items()}
    return {"seed": streams.seed, "streams": drawn}


def restore(saved: dict[str, Any]) -> None:
    """Go on drawing from where `state` was asked; streams that were not begun then start anew."""
    manual_seed(saved["seed"])
    streams = _here.get() or _everywhere
    for name, bits in saved["streams"].items():
        streams.get(name).bit_generator.state = bits


@contextmanager
def replayed(saved: dict[str, Any]) -> Iterator[None]:
    """Draw inside the block what was drawn after `state` was asked, and go on as if it was not."""
    token = _here.set(_Streams(saved["seed"]))
    try:
        restore(saved)
        yield
    finally:
        _here.reset(token)


@contextmanager
def stream(name: str) -> Iterator[None]:
    """Draw inside the block from the stream called `name`, leaving the main stream untouched.

    Twins use it: a projection shortcut draws its weights from a stream of its own, so that all
    layers that the twins share start from the same numbers.
    """
    token = _name.set(name)
    try:
        yield
    finally:
        _name.reset(token)


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Draw inside the block from fresh streams of `seed`; with None, from the present ones."""
    if seed is None:
        yield
        return
    token = _here.set(_everywhere)
    try:
        manual_seed(seed)
        yield
    finally:
        _here.reset(token)
