"""Noise: values, channels or whole branches left out at random, the others scaled up for it."""

from __future__ import annotations

from minires import devices
from minires.autograd import Tensor, located, op
from minires.devices import Array, random

from .arithmetic import mul
from .shapes import floating

Shape = tuple[int, ...]


@op(name="dropout")
def _dropout(x: Array, *, mask: Array) -> Array:
    return devices.of(x).apply("multiply", x, mask)


@_dropout.vjp
def _(g: Array, mask: Array) -> Array:
    return mul(g, mask)


def _check_probability(p: float, name: str) -> None:
    if not 0 <= p <= 1:
        raise ValueError(located(f"{name}: p must lie between 0 and 1, found {p}"))


def _dropped(input: Tensor, p: float, shape: Shape) -> Tensor:
    """Leave out values by a mask of `shape`, which broadcasts to the input's."""
    input = floating(input)
    plain = input._data if isinstance(input, Tensor) else input
    device = devices.of(plain)
    if not device.holds_values:
        return _dropout(input, mask=device.xp.zeros(shape, plain.dtype))
    kept = random.generator().random(shape) >= p
    scale = 0.0 if p == 1 else 1 / (1 - p)
    mask = device.array(kept, plain.dtype) * plain.dtype.type(scale)
    return _dropout(input, mask=mask)


def dropout(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Set each value to 0 with probability p and scale the others by 1 / (1 - p).

    Srivastava et al. 2014.

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
    _check_probability(p, "dropout")
    if not training or p == 0:
        return input
    return _dropped(input, p, tuple(input.shape))


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Set each channel of each image to 0 with probability p; scale the others by 1 / (1 - p).

    Neighbouring pixels tell much the same, so that dropping single ones drops little (Tompson et
    al. 2015, arXiv 1411.4280).

    Parameters
    ----------
    input : Tensor, (N, C, *spatial)
    p : float
        From 0 to 1.
    training : bool
        If false, return `input` as it is.

    Raises
    ------
    ValueError
        If p is no probability, or the input has no channels.

    Examples
    --------
    >>> import minires as mr
    >>> mr.manual_seed(0)
    >>> y = mr.ops.dropout2d(mr.ones(4, 100, 3, 3))
    >>> sorted(set(y.sum((2, 3)).flatten().tolist()))
    [0.0, 18.0]
    """
    _check_probability(p, "dropout2d")
    shape = tuple(input.shape)
    if len(shape) < 2:
        raise ValueError(located(f"dropout2d: input must have shape (N, C, ...), found {shape}"))
    if not training or p == 0:
        return input
    return _dropped(input, p, shape[:2] + (1,) * (len(shape) - 2))


def stochastic_depth(input: Tensor, p: float, mode: str, training: bool = True) -> Tensor:
    """Set a residual branch to 0 with probability p and scale it by 1 / (1 - p) otherwise.

    Huang et al. 2016 (arXiv 1603.09382), who drop a branch for the whole batch and scale it in
    evaluation instead; the arguments are those of torchvision.ops.stochastic_depth.

    Parameters
    ----------
    input : Tensor, (N, ...)
        The branch's output, before it is added to the shortcut.
    p : float
        From 0 to 1.
    mode : {"batch", "row"}
        Whether one draw decides for all samples, or each sample has its own.
    training : bool
        If false, return `input` as it is.

    Raises
    ------
    ValueError
        If p is no probability, the mode is unknown, or the input has no axis of samples.

    Examples
    --------
    >>> import minires as mr
    >>> mr.manual_seed(0)
    >>> y = mr.ops.stochastic_depth(mr.ones(100, 3), 0.5, "row")
    >>> sorted(set(y.sum(1).tolist()))
    [0.0, 6.0]
    """
    _check_probability(p, "stochastic_depth")
    shape = tuple(input.shape)
    if mode not in ("batch", "row"):
        raise ValueError(
            located(f"stochastic_depth: mode must be 'batch' or 'row', found {mode!r}")
        )
    if not shape:
        raise ValueError(located("stochastic_depth: input must have shape (N, ...), found ()"))
    if not training or p == 0:
        return input
    draws = shape[0] if mode == "row" else 1
    return _dropped(input, p, (draws,) + (1,) * (len(shape) - 1))
