"""Reductions to one number per row: mean, variance, log-sum-exp, and questions of truth."""

from __future__ import annotations

from typing import Any

from minires import devices
from minires.autograd import Tensor, op
from minires.devices import Array

from .arithmetic import add, div, equal, mul, sub, where
from .broadcasting import broadcast_to, kept_shape, sum
from .elementary import exp, log, sqrt
from .operands import Dims, as_array, axes_of
from .shapes import reshape

Shape = tuple[int, ...]


def count_of(shape: Shape, dim: Shape) -> int:
    """Return how many values of `shape` a reduction over the axes `dim` joins."""
    count = 1
    for axis in dim:
        count *= shape[axis]
    return count


@op
def _mean(x: Array, *, dim: Shape, keepdim: bool) -> Array:
    device = devices.of(as_array(x))
    if count_of(x.shape, dim) == 0:
        return device.xp.full_like(device.floating(x).sum(dim, keepdims=keepdim), device.xp.nan)
    return device.floating(x).mean(dim, keepdims=keepdim)


@_mean.vjp
def _(g: Array, shapes: Any, dim: Shape) -> Array:
    shape = shapes[0]
    share = div(g, float(max(count_of(shape, dim), 1)))
    return broadcast_to(reshape(share, kept_shape(shape, dim)), shape)


def mean(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Average over all axes, or over those in `dim`; nan over no values.

    Examples
    --------
    >>> import minires as mr
    >>> mr.tensor([[1.0, 3.0], [5.0, 7.0]]).mean(dim=0)
    tensor([3., 5.])
    """
    return _mean(input, dim=axes_of(dim, len(input.shape), "mean"), keepdim=keepdim)


@op
def _var(x: Array, *, dim: Shape, correction: float, keepdim: bool) -> Array:
    device = devices.of(as_array(x))
    x = device.floating(x)
    if count_of(x.shape, dim) <= correction:
        return device.xp.full_like(x.sum(dim, keepdims=keepdim), device.xp.nan)
    wide = devices.accumulator(x.dtype)
    return x.var(dim, dtype=wide, ddof=correction, keepdims=keepdim).astype(x.dtype)


@_var.vjp
def _(g: Array, x: Array, dim: Shape, correction: float) -> Array:
    shape = tuple(x.shape)
    centred = sub(x, mean(x, dim, keepdim=True))
    share = div(g, (count_of(shape, dim) - correction) / 2)
    return mul(reshape(share, kept_shape(shape, dim)), centred)


@_var.twin
def _(x: Tensor, *, dim: Shape, correction: float, keepdim: bool) -> Tensor:
    centred = sub(x, mean(x, dim, keepdim=True))
    total = sum(mul(centred, centred), dim, keepdim)
    return div(total, float(count_of(tuple(x.shape), dim) - correction))


def var(
    input: Tensor, dim: Dims = None, correction: float | None = 1, keepdim: bool = False
) -> Tensor:
    """Variance over all axes, or over those in `dim`.

    Parameters
    ----------
    input : Tensor
    dim : int or sequence of int, optional
    correction : float, optional
        The sum of squares is divided by (count - correction): 1 (also if it is None) is the
        unbiased estimate, 0 the variance of the values themselves.
    keepdim : bool
        Keep the reduced axes with length 1.
    """
    axes = axes_of(dim, len(input.shape), "var")
    divided_by_less = 1 if correction is None else correction
    return _var(input, dim=axes, correction=divided_by_less, keepdim=keepdim)


@op
def _std(x: Array, *, dim: Shape, correction: float, keepdim: bool) -> Array:
    device = devices.of(as_array(x))
    x = device.floating(x)
    wide = _var(
        device.astype(x, devices.accumulator(x.dtype)),
        dim=dim,
        correction=correction,
        keepdim=keepdim,
    )
    return device.xp.sqrt(wide).astype(x.dtype)


@_std.vjp
def _(g: Array, x: Array, output: Array, dim: Shape, correction: float) -> Array:
    shape = tuple(x.shape)
    kept = kept_shape(shape, dim)
    std = reshape(output, kept)
    # Where all values are equal the slope is taken as 0, the middle of the kink.
    scale = mul(where(equal(std, 0), 1, std), float(count_of(shape, dim) - correction))
    return mul(div(reshape(g, kept), scale), sub(x, mean(x, dim, keepdim=True)))


@_std.twin
def _(x: Tensor, *, dim: Shape, correction: float, keepdim: bool) -> Tensor:
    return sqrt(_var(x, dim=dim, correction=correction, keepdim=keepdim))


def std(
    input: Tensor, dim: Dims = None, correction: float | None = 1, keepdim: bool = False
) -> Tensor:
    """Standard deviation, the square root of `var`; its gradient at equal values is 0."""
    axes = axes_of(dim, len(input.shape), "std")
    divided_by_less = 1 if correction is None else correction
    return _std(input, dim=axes, correction=divided_by_less, keepdim=keepdim)


@op
def _logsumexp(x: Array, *, dim: Shape, keepdim: bool) -> Array:
    device = devices.of(as_array(x))
    xp, x = device.xp, device.floating(x)
    if count_of(x.shape, dim) == 0:
        return xp.full_like(x.sum(dim, keepdims=keepdim), -xp.inf)
    top = x.max(dim, keepdims=True)
    top = xp.where(xp.isfinite(top), top, top.dtype.type(0))
    total = xp.exp(x - top).sum(dim, dtype=devices.accumulator(x.dtype), keepdims=True)
    with device.quiet():
        result = (xp.log(total) + top).astype(x.dtype)
    return result if keepdim else result.reshape(x.sum(dim).shape)


@_logsumexp.vjp
def _(g: Array, x: Array, output: Array, dim: Shape) -> Array:
    kept = kept_shape(tuple(x.shape), dim)
    return mul(reshape(g, kept), exp(sub(x, reshape(output, kept))))


@_logsumexp.twin
def _(x: Tensor, *, dim: Shape, keepdim: bool) -> Tensor:
    from .selection import amax

    top = amax(x, dim, keepdim=True).detach()
    total = sum(exp(sub(x, top)), dim, keepdim)
    return add(log(total), reshape(top, total.shape))


def logsumexp(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """log(sum(exp(input))) over `dim`, without overflow."""
    return _logsumexp(input, dim=axes_of(dim, len(input.shape), "logsumexp"), keepdim=keepdim)


@op(differentiable=False)
def _all(x: Array, *, dim: Shape, keepdim: bool) -> Array:
    return x.all(dim, keepdims=keepdim)


@op(differentiable=False)
def _any(x: Array, *, dim: Shape, keepdim: bool) -> Array:
    return x.any(dim, keepdims=keepdim)


def all(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether every value is non-zero, as bool."""
    return _all(input, dim=axes_of(dim, len(input.shape), "all"), keepdim=keepdim)


def any(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether some value is non-zero, as bool."""
    return _any(input, dim=axes_of(dim, len(input.shape), "any"), keepdim=keepdim)
