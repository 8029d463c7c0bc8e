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


def refuse_several_devices(name: str, values: Iterable[Any]) -> None:
    """Refuse what an op was given if it lives on more than one device.

    Raises
    ------
    TypeError
        Naming the op and the devices.
    """
    arrays = [getattr(value, "_data", value) for value in values]
    found = dict.fromkeys(devices.of(a).name for a in arrays if hasattr(a, "dtype"))
    if len(found) > 1:
        raise TypeError(
            located(
                f"{name}: its operands are on different devices, {' and '.join(found)}; move them"
                " to one of them, as in x.to('cuda')"
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
