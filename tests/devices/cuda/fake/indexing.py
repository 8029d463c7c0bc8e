"""Indexing of device arrays: views for nothing, gathers and scatters with checked indices.

CuPy wraps an index that is out of range, uploads a host index and waits for a boolean one, all in
silence; and of several values assigned to one element any may stay.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import counts
from .errors import HiddenUploadError, OutOfRangeError, RepeatedIndexError
from .launching import SCALARS, Core, arrays_in, launch, unwrap, view


def read(array: Any, index: Any) -> Any:
    """``array[index]``."""
    parts, gathers = _parts(array, index)
    hosts = tuple([unwrap(part) for part in parts])
    if not gathers:
        # With an Ellipsis NumPy returns a view of one element, too, instead of a number.
        whole = hosts if any(part is Ellipsis for part in hosts) else (*hosts, Ellipsis)
        return view(array, array._host[whole])
    if any(part.dtype == bool for part in gathers):
        counts.synchronized("boolean index")
    host = array._host
    return launch("take", lambda: np.array(host[hosts], order="C"), (array, *gathers))


def write(array: Any, index: Any, value: Any) -> None:
    """``array[index] = value``."""
    if isinstance(value, np.ndarray) and value.ndim:
        raise ValueError("non-scalar numpy.Core cannot be used for fill")
    if not isinstance(value, (Core, np.ndarray, *SCALARS)):
        raise HiddenUploadError(
            f"a {type(value).__name__} assigned to a device array is a hidden upload;"
            " make it a device array first"
        )
    parts, gathers = _parts(array, index)
    hosts = tuple([unwrap(part) for part in parts])
    host, given = array._host, unwrap(value)
    many = isinstance(value, Core) and value.size > 1
    integers = [part for part in gathers if part.dtype != bool]
    if many and integers:
        check_repeated(host, hosts)
    if many and len(integers) < len(gathers):
        # A number goes where the mask is true without anybody knowing how often that is.
        counts.synchronized("boolean index of an assignment")

    def assign() -> None:
        host[hosts] = given

    launch("setitem", assign, (*gathers, *arrays_in(value)), (array,))


def check_range(index: Any, length: int, axis: int) -> None:
    """Raise OutOfRangeError for a device's integer index beyond its axis."""
    host = index._host
    if host.size and (host.min() < -length or host.max() >= length):
        raise OutOfRangeError(
            f"index with values from {host.min()} to {host.max()} reaches outside of axis {axis},"
            f" of length {length}; CuPy would wrap it around"
        )


def check_repeated(host: np.ndarray, hosts: tuple[Any, ...]) -> None:
    """Raise RepeatedIndexError if an assignment through `hosts` names an element twice."""
    named = np.arange(host.size).reshape(host.shape)[hosts]
    if np.unique(named).size < named.size:
        raise RepeatedIndexError(
            "an assignment names the same element more than once; which of its values stays is"
            " undefined on a GPU (device.add_at adds them)"
        )


def _parts(array: Any, index: Any) -> tuple[list[Any], list[Any]]:
    """Return the parts of an index, and those among them that are device arrays."""
    parts = list(index) if isinstance(index, tuple) else [index]
    gathers = [part for part in parts if isinstance(part, Core)]
    for part in parts:
        if isinstance(part, np.ndarray | list | tuple):
            raise HiddenUploadError(
                f"a {type(part).__name__} on the host as an index of a device array is a hidden"
                " upload; make it a device array first"
            )
    axis = 0
    for position, part in enumerate(parts):
        if part is Ellipsis:
            axis = array.ndim - sum(_consumes(later) for later in parts[position + 1 :])
            continue
        if isinstance(part, Core) and part.dtype != bool:
            check_range(part, array.shape[axis], axis)
        axis += _consumes(part)
    return parts, gathers


def _consumes(part: Any) -> int:
    """Return how many axes a part of an index stands for."""
    if part is None or isinstance(part, bool):
        return 0
    is_mask = getattr(part, "dtype", None) == np.dtype(bool)
    return part.ndim if is_mask else 1
