"""What processes that compute together, the ranks, say to each other."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

Array = Any
Value = TypeVar("Value")


class Communicator(Protocol):
    """The ranks of one computation, seen by one of them.

    All methods but `abort` are collective: every rank must call the same one, in the same order, or
    all wait for ever. Arrays may be on any device, without gaps, and of equal shape and dtype on
    all ranks; values are small Python objects.

    Attributes
    ----------
    rank : int
        The number of this process, 0 to size - 1.
    size : int
        How many there are.
    local_rank, local_size : int
        The same among the ranks of this machine.
    """

    @property
    def rank(self) -> int: ...  # noqa: D102
    @property
    def size(self) -> int: ...  # noqa: D102
    @property
    def local_rank(self) -> int: ...  # noqa: D102
    @property
    def local_size(self) -> int: ...  # noqa: D102

    def all_reduce(self, array: Array) -> Array:
        """Write the sum over all ranks into `array`, the same to the bit on each; return it."""

    def all_gather(self, array: Array) -> Array:
        """Return the arrays of all ranks, stacked along a new axis 0."""

    def broadcast(self, array: Array) -> Array:
        """Overwrite `array` by that of rank 0; return it."""

    def gather(self, value: Value) -> list[Value] | None:
        """Return the values of all ranks on rank 0, and None on the others."""

    def tell(self, value: Value) -> Value:
        """Return the value of rank 0."""

    def barrier(self) -> None:
        """Wait until all ranks are here."""

    def abort(self, code: int) -> None:
        """End the processes of all ranks, whatever they are doing, with this exit code."""


class Alone:
    """The one rank of a computation without others.

    Examples
    --------
    >>> Alone().size, Alone().tell("a word")
    (1, 'a word')
    """

    rank = local_rank = 0
    size = local_size = 1

    def __repr__(self) -> str:
        return "Alone()"

    def all_reduce(self, array: Array) -> Array:
        """Return the array: its sum over one rank."""
        return array

    def all_gather(self, array: Array) -> Array:
        """Return the array with a new axis 0, of length 1."""
        return array[None]

    def broadcast(self, array: Array) -> Array:
        """Return the array."""
        return array

    def gather(self, value: Value) -> list[Value] | None:
        """Return the value in a list."""
        return [value]

    def tell(self, value: Value) -> Value:
        """Return the value."""
        return value

    def barrier(self) -> None:
        """Wait for nobody."""

    def abort(self, code: int) -> None:
        """End this process as an error would, with this exit code."""
        raise SystemExit(code)
