"""The plain kernels on NumPy: what the fast ones must equal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import pytest

from minires.devices import (
    Device,
    blocked_convolution,
    buffers,
    columns,
    get_num_threads,
    rows,
    set_num_threads,
)


class Plain(Device):
    """A device without any kernel of its own."""

    name = "plain"
    xp = np


plain = Plain()


@contextlib.contextmanager
def cut(threads: int, chunk: int) -> Iterator[None]:
    """Use so many threads however little there is to do, and chunks of so few bytes or values."""
    before = get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "CHUNK", chunk)
        patch.setattr(rows, "CHUNK", chunk)
        patch.setattr(rows, "LENGTH", max(chunk // 8, 1))
        patch.setattr(rows, "GRAIN", 1)
        patch.setattr(buffers, "SMALLEST", 1)
        patch.setattr(blocked_convolution, "GRAIN", 1)
        set_num_threads(threads)
        try:
            yield
        finally:
            set_num_threads(before)
