"""Ops that move values without changing them: reshape, permute, and their relatives."""

from __future__ import annotations

import math
from typing import Any

from minires import devices
from minires.autograd import Tensor, located, op
from minires.devices import Array

from .operands import Dims, axes_of, axis_of, lengths_of


@op(view=True)
def _reshape(x: Array, *, shape: tuple[int, ...]) -> Array:
    return x.reshape(shape)


@_reshape.vjp
def _(g: Array, shapes: Any) -> Array:
    return reshape(g, shapes[0])


def reshape(input: Tensor, *shape: Any) -> Tensor:
    """Arrange the same values in another shape; one length may be -1, to be worked out.

    Parameters
    ----------
    input : Tensor
    *shape : int, or one tuple of int

    Raises
    ------
    ValueError
        If the number of values does not fit.

    Examples
    --------
    >>> import minires as mr
    >>> mr.arange(6).reshape(2, -1).shape
    (2, 3)
    """
    wanted = lengths_of(shape)
    known = 1
    for length in wanted:
        known *= 1 if length == -1 else length
    size = 1
    for length in input.shape:
        size *= length
    fits = known == size if -1 not in wanted else known != 0 and size % known == 0
    if not fits or wanted.count(-1) > 1:
        raise ValueError(
            located(f"reshape: {size} values of shape {tuple(input.shape)} do not fit {wanted}")
        )
    return _reshape(input, shape=wanted)


@op(view=True)
def _permute(x: Array, *, dims: tuple[int, ...]) -> Array:
    return x.transpose(dims)


@_permute.vjp
def _(g: Array, dims: tuple[int, ...]) -> Array:
    inverse = sorted(range(len(dims)), key=dims.__getitem__)
    return _permute(g, dims=tuple(inverse))


def permute(input: Tensor, *dims: Any) -> Tensor:
    """Put the axes into another order.

    Parameters
    ----------
    input : Tensor
    *dims : int, or one tuple of int
        For each axis of the result, the axis of `input` that it was.

    Raises
    ------
    ValueError
        If `dims` is not an order of all axes.
    """
    order = lengths_of(dims)
    ndim = len(input.shape)
    if len(order) != ndim:
        raise ValueError(located(f"permute: {order} does not order {ndim} dimensions"))
    axes_of(order, ndim, "permute")
    return _permute(input, dims=tuple(axis % ndim for axis in order))


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Swap two axes."""
    ndim = len(input.shape)
    # A 0-d Tensor has, for the asking, one axis: there is nothing to swap it with.
    order = list(range(max(ndim, 1)))
    first, second = axis_of(dim0, ndim, "transpose"), axis_of(dim1, ndim, "transpose")
    order[first], order[second] = order[second], order[first]
    return _permute(input, dims=tuple(order[:ndim]))


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Join the axes from `start_dim` to `end_dim` (inclusive) into one."""
    shape = tuple(input.shape)
    start = axis_of(start_dim, len(shape), "flatten")
    end = axis_of(end_dim, len(shape), "flatten")
    if start > end:
        raise ValueError(located(f"flatten: start_dim {start_dim} lies behind end_dim {end_dim}"))
    length = 1
    for joined in shape[start : end + 1]:
        length *= joined
    return _reshape(input, shape=(*shape[:start], length, *shape[end + 1 :]))


def squeeze(input: Tensor, dim: Dims = None) -> Tensor:
    """Drop axes of length 1: all of them, or those named by `dim`."""
    shape = tuple(input.shape)
    drop = axes_of(dim, len(shape), "squeeze")
    kept = tuple(n for axis, n in enumerate(shape) if axis not in drop or n != 1)
    return _reshape(input, shape=kept)


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """Insert an axis of length 1 at position `dim`."""
    shape = list(input.shape)
    shape.insert(axis_of(dim, len(shape) + 1, "unsqueeze"), 1)
    return _reshape(input, shape=tuple(shape))


@op(view=True)
def _flip(x: Array, *, dims: tuple[int, ...]) -> Array:
    return devices.of(x).xp.flip(x, dims)


@_flip.vjp
def _(g: Array, dims: tuple[int, ...]) -> Array:
    return _flip(g, dims=dims)


def flip(input: Tensor, dims: Dims) -> Tensor:
    """Reverse the order of the values along the axes `dims`."""
    return _flip(input, dims=axes_of(dims, len(input.shape), "flip"))


@op
def clone(x: Array) -> Array:
    """Copy: equal values in memory of their own; the gradient passes unchanged.

    Parameters
    ----------
    x : Tensor

    Returns
    -------
    Tensor
        In the same memory order.
    """
    return x.copy(order="K")


@clone.vjp
def _(g: Array) -> Array:
    return g


@op
def _cast(x: Array, *, dtype: Any) -> Array:
    return x.astype(dtype)


@_cast.vjp
def _(g: Array) -> Array:
    # The engine casts every contribution back to its value's dtype.
    return g


def cast(input: Tensor, dtype: Any) -> Tensor:
    """Return the values in another dtype; the gradient comes back in the old one."""
    dtype = devices.as_dtype(dtype)
    return input if input.dtype == dtype else _cast(input, dtype=dtype)


def floating(input: Tensor) -> Tensor:
    """Return the Tensor itself if it is floating, else its values as float32."""
    return input if devices.is_float(input.dtype) else cast(input, devices.default_float)


def size(input: Tensor, dim: int | None = None) -> Any:
    """Shape of the Tensor, or its length along `dim`."""
    shape = tuple(input.shape)
    return shape if dim is None else shape[axis_of(dim, len(shape), "size")]


def dim(input: Tensor) -> int:
    """Number of axes."""
    return len(input.shape)


def numel(input: Tensor) -> int:
    """Number of values.

    Examples
    --------
    >>> import minires as mr
    >>> mr.zeros(2, 3).numel()
    6
    """
    return math.prod(input.shape)
