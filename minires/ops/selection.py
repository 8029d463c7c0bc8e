"""Choosing values along an axis: extrema, their positions, gather and its transpose."""

from __future__ import annotations

from typing import Any, NamedTuple

from minires import devices
from minires.autograd import Tensor, located, op
from minires.devices import Array

from .arithmetic import div, equal, logical_or, not_equal, where
from .broadcasting import kept_shape, sum
from .operands import Dims, as_array, axes_of, axis_of, copied_beside
from .reductions import count_of
from .shapes import reshape

Shape = tuple[int, ...]


class Extremum(NamedTuple):
    """Values along an axis, and the positions at which they stood."""

    values: Tensor
    indices: Tensor


@op
def _amax(x: Array, *, dim: Shape, keepdim: bool) -> Array:
    return x.max(dim, keepdims=keepdim)


@op
def _amin(x: Array, *, dim: Shape, keepdim: bool) -> Array:
    return x.min(dim, keepdims=keepdim)


def _share_among_winners(g: Array, x: Array, output: Array, dim: Shape) -> Array:
    kept = kept_shape(tuple(x.shape), dim)
    # A NaN is equal to nothing, and wins over everything.
    winner = logical_or(equal(x, reshape(output, kept)), not_equal(x, x))
    count = sum(winner, dim, keepdim=True)
    return where(winner, div(reshape(g, kept), count), 0.0)


@_amax.vjp
def _(g: Array, x: Array, output: Array, dim: Shape) -> Array:
    return _share_among_winners(g, x, output, dim)


@_amin.vjp
def _(g: Array, x: Array, output: Array, dim: Shape) -> Array:
    return _share_among_winners(g, x, output, dim)


def _refuse_nothing(input: Tensor, dim: Shape, name: str) -> None:
    if count_of(tuple(input.shape), dim) == 0:
        raise ValueError(located(f"{name}: no values to choose from, shape {tuple(input.shape)}"))


def amax(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Largest value over all axes, or over those in `dim`; equal winners share the gradient."""
    axes = axes_of(dim, len(input.shape), "amax")
    _refuse_nothing(input, axes, "amax")
    return _amax(input, dim=axes, keepdim=keepdim)


def amin(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Smallest value over all axes, or over those in `dim`; equal winners share the gradient."""
    axes = axes_of(dim, len(input.shape), "amin")
    _refuse_nothing(input, axes, "amin")
    return _amin(input, dim=axes, keepdim=keepdim)


@op(differentiable=False)
def _argmax(x: Array, *, dim: int) -> Array:
    return x.argmax(dim)


@op(differentiable=False)
def _argmin(x: Array, *, dim: int) -> Array:
    return x.argmin(dim)


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Position of the (first) largest value along `dim`, int64; in the flattened Tensor without."""
    return _position(_argmax, input, dim, keepdim, "argmax")


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Position of the (first) smallest value along `dim`, int64; in the flattened without."""
    return _position(_argmin, input, dim, keepdim, "argmin")


def _position(select: Any, input: Tensor, dim: int | None, keepdim: bool, name: str) -> Tensor:
    shape = tuple(input.shape)
    axes = axes_of(dim, len(shape), name)
    _refuse_nothing(input, axes, name)
    flat = reshape(input, -1) if dim is None or not shape else input
    found = select(flat, dim=0 if flat is not input else axes[0])
    return reshape(found, kept_shape(shape, axes)) if keepdim else found


def max(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """Largest value of all; with `dim`, the largest along it and its position.

    Parameters
    ----------
    input : Tensor
    dim : int, optional
    keepdim : bool

    Returns
    -------
    Tensor, or Extremum(values, indices)
        Without `dim`, equal winners share the gradient; with it, the first one gets all.

    Raises
    ------
    TypeError
        If `dim` is a Tensor: `maximum` compares two of them.

    Examples
    --------
    >>> import minires as mr
    >>> values, indices = mr.tensor([[1.0, 5.0], [7.0, 2.0]]).max(dim=1)
    >>> values, indices
    (tensor([5., 7.]), tensor([1, 0]))
    """
    if dim is None:
        return amax(input, None, keepdim)
    _refuse_operand(dim, "max")
    return _extremum(input, dim, keepdim, argmax(input, dim, keepdim=True))


def min(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """Smallest value of all; with `dim`, the smallest along it and its position. See `max`."""
    if dim is None:
        return amin(input, None, keepdim)
    _refuse_operand(dim, "min")
    return _extremum(input, dim, keepdim, argmin(input, dim, keepdim=True))


def _refuse_operand(dim: Any, name: str) -> None:
    """Refuse a Tensor in the place of `dim`, which a whole number in it would pass for."""
    if isinstance(dim, Tensor):
        raise TypeError(
            located(f"{name}: dim must be an integer; {name}imum(a, b) compares two Tensors")
        )


def _extremum(input: Tensor, dim: int, keepdim: bool, indices: Tensor) -> Extremum:
    values = gather(input, dim, indices) if input.shape else input
    if keepdim or not input.shape:
        return Extremum(values, indices)
    axis = axis_of(dim, len(input.shape), "max")
    shape = (*input.shape[:axis], *input.shape[axis + 1 :])
    return Extremum(reshape(values, shape), reshape(indices, shape))


@op
def _gather(x: Array, *, dim: int, index: Array) -> Array:
    return devices.of(as_array(x)).xp.take_along_axis(x, index, dim)


@_gather.vjp
def _(g: Array, shapes: Any, dim: int, index: Array) -> Array:
    return _scatter_add(g, dim=dim, index=index, shape=shapes[0])


@op
def _scatter_add(values: Array, *, dim: int, index: Array, shape: Shape) -> Array:
    device = devices.of(values)
    total = device.xp.zeros(shape, values.dtype)
    where_to: list[Any] = []
    for axis, length in enumerate(index.shape):
        along = [1] * index.ndim
        along[axis] = length
        where_to.append(device.xp.arange(length).reshape(along))
    where_to[dim] = index
    device.add_at(total, tuple(where_to), values)
    return total


@_scatter_add.vjp
def _(g: Array, dim: int, index: Array) -> Array:
    return _gather(g, dim=dim, index=index)


def gather(input: Tensor, dim: int, index: Any) -> Tensor:
    """Pick values along one axis: out[i, j] = input[index[i, j], j] for dim=0, and so on.

    Parameters
    ----------
    input : Tensor
    dim : int
    index : Tensor or array of int
        As many axes as `input`, and its lengths on every axis other than `dim`.

    Raises
    ------
    ValueError
        If the number of axes or a length does not fit.
    IndexError
        If an index is out of range (on the CPU; a GPU does not look at the values).
    """
    x = input._data if isinstance(input, Tensor) else input
    device, given = devices.of(x), index._data if isinstance(index, Tensor) else index
    # A copy, for the caller may write into the index before the backward pass.
    plain = copied_beside(x, "gather", "index", given)
    if not input.shape and plain.ndim <= 1:
        # A 0-d Tensor is picked from as if it had one axis, of length 1.
        row = gather(reshape(input, 1), dim, plain.reshape(-1))
        return reshape(row, plain.shape)
    shape = tuple(input.shape)
    axis = axis_of(dim, len(shape), "gather")
    others = [*plain.shape[:axis], *plain.shape[axis + 1 :]]
    if len(plain.shape) != len(shape) or others != [*shape[:axis], *shape[axis + 1 :]]:
        raise ValueError(
            located(f"gather: index of shape {tuple(plain.shape)} does not fit input {shape}")
        )
    if (
        device.synchronous
        and plain.size
        and not (-shape[axis] <= plain.min() and plain.max() < shape[axis])
    ):
        raise IndexError(located(f"gather: an index lies outside 0..{shape[axis] - 1}"))
    return _gather(input, dim=axis, index=plain)
