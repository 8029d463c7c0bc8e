"""Bringing the operands of an op to one dtype, and its axes to one form."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from minires import devices
from minires.autograd import located
from minires.autograd.guard import refuse_several_devices
from minires.devices import Array, Device

Dims = int | Sequence[int] | None

_NUMBERS = {bool, int, float}
_FLOATS = {devices.float16, devices.float32, devices.float64}


def is_number(value: Any) -> bool:
    """Tell whether `value` is a Python number; NumPy's float64 is one too, but has a dtype."""
    return isinstance(value, (bool, int, float)) and not hasattr(value, "dtype")


def device_of(*values: Any) -> Device:
    """Return the device of the first array among `values`; numbers have none."""
    for value in values:
        if not is_number(value):
            return devices.of(value)
    return devices.cpu


def copied_beside(x: Array, op: str, name: str, value: Any, dtype: Any = None) -> Array:
    """Return a copy of `value`, which is on the host or on the device of x, on that device.

    Raises
    ------
    TypeError
        If it is on another device: what is on a GPU is not copied unasked.
    """
    device, home = devices.of(x), devices.of(value)
    if home is not device and home is not devices.cpu:
        refuse_several_devices(op, [("input", x), (name, value)])
    return device.array(value, dtype)


def same_dtype(*values: Any) -> tuple[Any, ...]:
    """Cast the arrays among `values` to their common dtype; Python numbers stay as they are."""
    if len(values) == 2:
        a, b = values
        first, second = getattr(a, "dtype", None), getattr(b, "dtype", None)
        # What arithmetic mostly meets, told without looking closer: no number widens a float.
        if second is None and first in _FLOATS and b.__class__ in _NUMBERS:
            return values
        if first is second and first is not None:
            return values
    dtypes = {None if is_number(v) else as_array(v).dtype for v in values}
    if len(dtypes) == 1 and None not in dtypes:
        return values
    dtype = devices.result_dtype(*values)
    device = device_of(*values)
    return tuple([v if is_number(v) else device.astype(v, dtype) for v in values])


def float_dtype(*values: Any) -> tuple[Any, ...]:
    """Cast the arrays among `values` to their common *floating* dtype (float32 for integers)."""
    values = same_dtype(*values)
    device = device_of(*values)
    return tuple([v if is_number(v) else device.floating(v) for v in values])


def as_array(x: Array) -> Array:
    """Return x, or an error if it is no array: single-input ops take no bare numbers."""
    if not hasattr(x, "dtype"):
        raise TypeError(located(f"expected a Tensor or an array, found {type(x).__name__}"))
    return x


def axes_of(dim: Dims, ndim: int, op: str) -> tuple[int, ...]:
    """Return `dim` (one axis, several, or None for all) as rising non-negative axes.

    Raises
    ------
    IndexError
        If an axis does not exist.
    ValueError
        If an axis is named twice.
    TypeError
        If it is a bool, which Python would take for 0 or 1.
    """
    if dim is None:
        return tuple(range(ndim))
    given: tuple[Any, ...] = (dim,) if hasattr(dim, "__index__") else tuple(dim)
    axes = []
    for axis in given:
        if axis is True or axis is False:
            raise TypeError(located(f"{op}: dim must be an integer, found {axis}"))
        # A 0-d Tensor has, for the asking, one axis of length 1.
        if not -max(ndim, 1) <= axis < max(ndim, 1):
            raise IndexError(
                located(f"{op}: dim {axis} of a Tensor with {ndim} dimensions does not exist")
            )
        axes.append(int(axis) % max(ndim, 1))
    if len(set(axes)) != len(axes):
        raise ValueError(located(f"{op}: dim {given} names a dimension twice"))
    return tuple(sorted(axes)) if ndim else ()


def axis_of(dim: int, ndim: int, op: str) -> int:
    """Return one axis as a non-negative number; see `axes_of`."""
    return axes_of(dim, max(ndim, 1), op)[0]


def lengths_of(given: tuple[Any, ...]) -> tuple[int, ...]:
    """Return lengths or axes that were given one by one, or as one tuple or list of them."""
    one_by_one = len(given) != 1 or hasattr(given[0], "__index__")
    return tuple(map(operator.index, given if one_by_one else given[0]))
