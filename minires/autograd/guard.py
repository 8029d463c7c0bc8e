"""Protecting arrays that many use from an op that would write into them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from minires import devices

from .context import located
from .errors import OverwriteError


def read_only(value: Any) -> Any:
    """Return arrays, also those in a tuple, as views that cannot be written into."""
    if isinstance(value, tuple):
        return tuple(map(read_only, value))
    return devices.of(value).read_only(value) if hasattr(value, "dtype") else value


def refuse_several_devices(name: str, operands: Iterable[tuple[str, Any]]) -> None:
    """Refuse what an op was given if it lives on more than one device.

    Parameters
    ----------
    name : str
        The op's.
    operands : iterable of (str, value)
        Inputs and constants by name; only the arrays among them matter.

    Raises
    ------
    TypeError
        Naming the op, the first two operands that do not fit, and what to do.
    """
    arrays = [(key, value) for key, value in operands if value.__class__ in devices.ARRAY_TYPES]
    places = [(key, devices.of(value)) for key, value in arrays]
    for key, device in places[1:]:
        first, home = places[0]
        if device is home:
            continue
        moved, target = (first, device) if home is devices.cpu else (key, home)
        raise TypeError(
            located(
                f"{name}: its operands are on different devices, {first!r} on {home} and {key!r} on"
                f" {device}; move one of them first, as in {moved}.to({target.name!r})"
            )
        )


@contextmanager
def no_writing(who: str) -> Iterator[None]:
    """Say who wrote into a read-only array, and what to do instead.

    Raises
    ------
    OverwriteError
        If the block does.
    """
    try:
        yield
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        raise OverwriteError(
            f"{who} wrote into an array that it was given; others use it too. Compute a new one,"
            " as in g * 2 instead of g *= 2"
        ) from error
