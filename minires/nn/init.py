"""Initialisers: they overwrite a Tensor's values in place and return it.

All draw on the host, from the streams that `minires.manual_seed` seeds; for a Tensor on a device
that holds no values nothing is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from minires.autograd import Tensor
from minires.devices import Array, random


def fans(tensor: Tensor) -> tuple[int, int]:
    """Return (fan_in, fan_out): how many inputs feed one output of a weight, and vice versa.

    Parameters
    ----------
    tensor : Tensor, (O, I) or (O, I, *kernel)

    Raises
    ------
    ValueError
        If it has fewer than two axes.
    """
    if tensor.ndim < 2:
        raise ValueError(f"fan in and fan out need two axes, this Tensor has shape {tensor.shape}")
    area = math.prod(tensor.shape[2:])
    return tensor.shape[1] * area, tensor.shape[0] * area


def gain_of(nonlinearity: str, a: float = 0.0) -> float:
    """Return by how much to scale weights so that an activation keeps the variance.

    Parameters
    ----------
    nonlinearity : {"linear", "sigmoid", "tanh", "relu", "leaky_relu"}
    a : float
        Negative slope of leaky_relu.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    gains = {
        "linear": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + a * a)),
    }
    if nonlinearity not in gains:
        raise ValueError(f"unknown nonlinearity {nonlinearity!r}; known: {sorted(gains)}")
    return gains[nonlinearity]


# Values drawn at a time; they are float64, and a weight may be all the memory there is.
_CHUNK = 1 << 18


def _drawn(tensor: Tensor, draw: Callable[[int], Array]) -> Tensor:
    """Fill with what `draw` gives, so many values at a time; row by row as if drawn at once."""
    size = math.prod(tensor.shape)
    if size <= _CHUNK:
        return tensor.copy_(draw(size).reshape(tensor.shape))
    rows = max(_CHUNK * len(tensor) // size, 1)
    for start in range(0, len(tensor), rows):
        part = tensor.detach()[start : start + rows]
        part.copy_(draw(math.prod(part.shape)).reshape(part.shape))
    return tensor


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Fill with normal random numbers."""
    if not tensor.device.holds_values:
        return tensor
    return _drawn(tensor, lambda count: random.generator().standard_normal(count) * std + mean)


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Fill with uniform random numbers in [a, b)."""
    if not tensor.device.holds_values:
        return tensor
    return _drawn(tensor, lambda count: random.generator().random(count) * (b - a) + a)


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0
) -> Tensor:
    """Fill with normal random numbers; those outside [a, b] are drawn again.

    Parameters
    ----------
    tensor : Tensor
    mean, std : float
    a, b : float
        Bounds of the values themselves, as in PyTorch; not in units of `std`.

    Raises
    ------
    ValueError
        If `std` is not positive, or less than one draw in a hundred would lie within the bounds.
    """
    if std <= 0:
        raise ValueError(f"trunc_normal_: std must be positive, found {std}")
    below, upto = (math.erf((bound - mean) / (math.sqrt(2) * std)) for bound in (a, b))
    if upto - below < 0.02:
        raise ValueError(
            f"trunc_normal_: hardly any number of mean {mean} and std {std} lies between a={a} and"
            f" b={b}; move or widen the bounds"
        )
    if not tensor.device.holds_values:
        return tensor
    values = random.generator().standard_normal(math.prod(tensor.shape)) * std + mean
    while (outside := (values < a) | (values > b)).any():
        again = random.generator().standard_normal(int(outside.sum()))
        values[outside] = again * std + mean
    return tensor.copy_(values.reshape(tensor.shape))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value."""
    return tensor.copy_(val)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros."""
    return constant_(tensor, 0)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones."""
    return constant_(tensor, 1)


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Fill with N(0, gain^2 / fan) (He et al. 2015, arXiv 1502.01852).

    Parameters
    ----------
    tensor : Tensor, (O, I) or (O, I, *kernel)
    a : float
        Negative slope of leaky_relu.
    mode : {"fan_in", "fan_out"}
        Keep the variance of the forward pass, or of the backward pass.
    nonlinearity : str
        The activation behind the weight; see `gain_of`.
    """
    return normal_(tensor, 0.0, gain_of(nonlinearity, a) / math.sqrt(_fan(tensor, mode)))


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Fill with uniform numbers of the variance of `kaiming_normal_`."""
    bound = gain_of(nonlinearity, a) * math.sqrt(3 / _fan(tensor, mode))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Fill with N(0, gain^2 * 2 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans(tensor))))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Fill with uniform numbers of the variance of `xavier_normal_`."""
    bound = gain * math.sqrt(6 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound)


def _fan(tensor: Tensor, mode: str) -> int:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode must be 'fan_in' or 'fan_out', found {mode!r}")
    fan_in, fan_out = fans(tensor)
    return max(fan_in if mode == "fan_in" else fan_out, 1)
