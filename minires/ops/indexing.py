"""Indexing, and its transpose: putting values back where they came from."""

from __future__ import annotations

from typing import Any

from minires import devices
from minires.autograd import Tensor, located, op
from minires.devices import Array

from .operands import copied_beside


def _is_basic(index: Any) -> bool:
    """Tell whether an index names every place at most once (no arrays of positions)."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or isinstance(part, (int, slice, type(...))) for part in parts)


@op(view=True)
def _getitem(x: Array, *, index: Any) -> Array:
    return x[index]


@_getitem.vjp
def _(g: Array, shapes: Any, index: Any) -> Array:
    return _putitem(g, index=index, shape=shapes[0])


@op
def _putitem(values: Array, *, index: Any, shape: tuple[int, ...]) -> Array:
    device = devices.of(values)
    if _is_basic(index):
        # In the memory order of the values, where they have as many axes.
        total = device.xp.zeros_like(values, shape=shape)
        total[index] = values
    else:
        total = device.xp.zeros(shape, values.dtype)
        device.add_at(total, index, values)
    return total


@_putitem.vjp
def _(g: Array, index: Any) -> Array:
    return _getitem(g, index=index)


def _plain(part: Any, x: Array) -> Any:
    """Return an index as x's array library understands it, no longer the caller's own memory."""
    if isinstance(part, Tensor):
        part = part._data
    if isinstance(part, list):
        return devices.of(x).array(part, None if part else devices.int64)
    if isinstance(part, devices.cpu.xp.generic):
        return part.item()  # NumPy's numbers are numbers: no array of positions, no upload
    # A copy, for the caller may write into the index before the backward pass.
    return copied_beside(x, "getitem", "index", part) if hasattr(part, "dtype") else part


def getitem(input: Tensor, index: Any) -> Tensor:
    """``input[index]`` with everything NumPy's indexing knows; Tensors may be indices too.

    Parameters
    ----------
    input : Tensor
    index
        Integers, slices, None, ..., arrays or Tensors of int or bool, or a tuple of them.

    Raises
    ------
    IndexError
        If the index does not fit the shape.
    TypeError
        If the input is on the CPU and an index on a GPU.
    """
    x = input._data if isinstance(input, Tensor) else input
    several = isinstance(index, tuple)
    plain = tuple([_plain(part, x) for part in index]) if several else _plain(index, x)
    try:
        return _getitem(input, index=plain)
    except IndexError as error:
        raise IndexError(
            located(f"index {index!r} does not fit shape {tuple(input.shape)}: {error}")
        ) from error
