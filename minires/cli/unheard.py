"""Progress that nobody hears any more: a pipe that is closed, a terminal that is gone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


class _Unheard:
    """A stream whose words may be lost; what cannot be written is no reason to stop."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except OSError:
            self._is_lost()
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._is_lost()

    def _is_lost(self) -> None:
        """Send the rest nowhere, also what is still buffered, which Python writes at its end."""
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


@contextmanager
def unheard_is_no_error() -> Iterator[None]:
    """Go on inside the block when stderr cannot be written to; results on stdout still must be."""
    stream = sys.stderr
    sys.stderr = _Unheard(stream)
    try:
        yield
    finally:
        sys.stderr = stream
