"""Spreading a value along axes, and its transpose, the sum over them."""

from __future__ import annotations

from typing import Any

from minires import devices
from minires.autograd import Tensor, located, op
from minires.devices import Array

from .operands import Dims, axes_of, lengths_of
from .shapes import reshape


@op(view=True)
def _broadcast_to(x: Array, *, shape: tuple[int, ...]) -> Array:
    return devices.of(x).xp.broadcast_to(x, shape)


@_broadcast_to.vjp
def _(g: Array, shapes: Any) -> Array:
    return unbroadcast(g, shapes[0])


def broadcast_to(input: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Repeat `input` along new axes and along axes of length 1, without copying.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.
    """
    own = tuple(input.shape)
    if own == tuple(shape):
        return input
    tail = shape[len(shape) - len(own) :] if len(own) <= len(shape) else None
    if tail is None or any(a not in (1, b) for a, b in zip(own, tail, strict=True)):
        raise ValueError(located(f"broadcast_to: shape {own} does not broadcast to {shape}"))
    return _broadcast_to(input, shape=tuple(shape))


def unbroadcast(g: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Sum a gradient over the axes along which its value of `shape` had been repeated."""
    if g.shape == shape:
        return g
    lead = len(g.shape) - len(shape)
    repeated = [axis + lead for axis, n in enumerate(shape) if n == 1 and g.shape[axis + lead] != 1]
    summed = _sum(g, dim=(*range(lead), *repeated), keepdim=False)
    return summed if summed.shape == shape else reshape(summed, shape)


@op
def _sum(x: Array, *, dim: tuple[int, ...], keepdim: bool) -> Array:
    if x.dtype.kind != "f":
        return x.sum(dim, dtype=devices.int64, keepdims=keepdim)
    total = x.sum(dim, dtype=devices.accumulator(x.dtype), keepdims=keepdim)
    return total.astype(x.dtype, copy=False)


@_sum.vjp
def _(g: Array, shapes: Any, dim: tuple[int, ...]) -> Array:
    return broadcast_to(reshape(g, kept_shape(shapes[0], dim)), shapes[0])


def kept_shape(shape: tuple[int, ...], dim: tuple[int, ...]) -> tuple[int, ...]:
    """Return `shape` with length 1 along the axes `dim`: that of a reduction's kept result."""
    return tuple(1 if axis in dim else length for axis, length in enumerate(shape))


def sum(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Sum over all axes, or over those in `dim`; integers and bools are summed as int64.

    Parameters
    ----------
    input : Tensor
    dim : int or sequence of int, optional
    keepdim : bool
        Keep the summed axes with length 1.

    Examples
    --------
    >>> import minires as mr
    >>> mr.ones(2, 3).sum(dim=1)
    tensor([3., 3.])
    """
    return _sum(input, dim=axes_of(dim, len(input.shape), "sum"), keepdim=keepdim)


def expand(input: Tensor, *shape: Any) -> Tensor:
    """Repeat `input` to `shape` without copying; -1 keeps a length (torch's ``expand``)."""
    wanted = lengths_of(shape)
    own = tuple(input.shape)
    lead = len(wanted) - len(own)
    kept = tuple(own[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(wanted))
    return broadcast_to(input, kept)
