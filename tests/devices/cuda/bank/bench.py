"""What the snippets of the bank work with, and how they enter it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Bench:
    """What the mistakes work with: `x` (3, 4) and what belongs to it, on one array library.

    `h` and `host_labels` are on the host; `images` (2, 3, 4, 4) lies in memory as (3, 2, 4, 4).
    """

    def __init__(self, xp: Any, new: Callable[[Any], Any]) -> None:
        self.xp = xp
        self.h = np.arange(12, dtype="float32").reshape(3, 4) - 5
        self.host_labels = np.array([2, 0, 1])
        self.x = new(self.h.copy())
        self.y = new(self.h[::-1].copy())
        self.w = new(np.ones((4, 2), "float32"))
        self.labels = new(self.host_labels)
        self.loss = new(np.array(self.h.sum()))
        memory = new(np.arange(96, dtype="float32").reshape(3, 2, 4, 4))
        self.images = memory.transpose(1, 0, 2, 3)
        self.host_images = np.arange(96, dtype="float32").reshape(3, 2, 4, 4).transpose(1, 0, 2, 3)


class Bug(NamedTuple):
    """A mistake, and how it shows.

    `error` is what the fake raises. A mistake without one shows in `check`, which a test makes
    with the result and the number of launches; it returns whether all is well.
    """

    function: Callable[[Bench], Any]
    error: type[Exception] | None
    check: Callable[[Bench, Any, int], bool] | None
    cupy: str


BUGS: dict[str, Bug] = {}


def bug(
    error: type[Exception] | None = None,
    cupy: str = "raises",
    check: Callable[[Bench, Any, int], bool] | None = None,
) -> Callable[[Callable[[Bench], Any]], Callable[[Bench], Any]]:
    """Put a mistake into the bank; `cupy` is "raises" or "silent"."""

    def put(function: Callable[[Bench], Any]) -> Callable[[Bench], Any]:
        BUGS[function.__name__] = Bug(function, error, check, cupy)
        return function

    return put


FINE: dict[str, Callable[[Bench], Any]] = {}


def fine(function: Callable[[Bench], Any]) -> Callable[[Bench], Any]:
    """Put code into the bank that is right on a GPU as well."""
    FINE[function.__name__] = function
    return function
