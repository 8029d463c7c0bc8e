"""Ctrl-C at a moment at which it had better wait."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def postponed_interrupts() -> Iterator[list[int]]:
    """Let no Ctrl-C break the block.

    Yields
    ------
    list of int
        Gets an entry for every Ctrl-C that came.
    """
    came: list[int] = []

    def note(number: int, _: Any) -> None:
        came.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, before)
