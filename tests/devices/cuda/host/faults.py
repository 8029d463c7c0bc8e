"""What a kernel can do wrong on the host."""

from __future__ import annotations


class Fault(Exception):  # noqa: N818
    """A kernel did what it may not do; the message names kernel, thread, array and index."""


class OutOfBounds(Fault, IndexError):  # noqa: N818
    """It reached outside an array, or through a null pointer."""


class Race(Fault):
    """Two threads touched one element, one of them writing, with no barrier between."""


class Uninitialised(Fault):
    """It read shared memory that nothing in the block had written."""


class Diverged(Fault):
    """Some threads of a block reached a barrier that others did not."""


class Unsanitary(Fault):
    """A sanitizer had something to say."""


class DoesNotCompile(Exception):  # noqa: N818
    """The compiler refused a kernel's source."""


# By the numbers of faults.hpp.
KINDS: dict[int, type[Fault]] = {1: OutOfBounds, 2: Race, 3: Uninitialised, 4: Diverged}
