"""Dropout (Srivastava et al. 2014)."""

from __future__ import annotations

from minires import devices
from minires.autograd import Tensor, located, op
from minires.devices import Array, random

from .arithmetic import mul
from .shapes import floating


@op(name="dropout")
def _dropout(x: Array, *, mask: Array) -> Array:
    return x * mask


@_dropout.vjp
def _(g: Array, mask: Array) -> Array:
    return mul(g, mask)


def dropout(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Set each value to 0 with probability p and scale the others by 1 / (1 - p).

    Parameters
    ----------
    input : Tensor
    p : float
        From 0 to 1.
    training : bool
        If false, return `input` as it is.

    Raises
    ------
    ValueError
        If p is no probability.

    Examples
    --------
    >>> import minires as mr
    >>> mr.manual_seed(0)
    >>> kept = mr.ops.dropout(mr.ones(1000), p=0.25) != 0
    >>> 700 < int(kept.sum()) < 800
    True
    """
    if not 0 <= p <= 1:
        raise ValueError(located(f"dropout: p must lie between 0 and 1, found {p}"))
    if not training or p == 0:
        return input
    input = floating(input)
    plain = input._data if isinstance(input, Tensor) else input
    device = devices.of(plain)
    if not device.holds_values:
        return _dropout(input, mask=device.xp.ones_like(plain))
    kept = random.generator().random(tuple(plain.shape)) >= p
    scale = 0.0 if p == 1 else 1 / (1 - p)
    return _dropout(input, mask=device.array(kept, plain.dtype) * plain.dtype.type(scale))
