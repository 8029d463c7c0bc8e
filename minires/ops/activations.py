"""Activation functions."""

from __future__ import annotations

from minires import devices
from minires.autograd import Tensor, op
from minires.devices import Array

from .arithmetic import add, greater, greater_equal, less_equal, logical_or, mul, sub, where
from .broadcasting import sum
from .elementary import erf, exp, tanh
from .operands import as_array, axis_of
from .reductions import logsumexp


@op
def relu(input: Array) -> Array:
    """max(input, 0); its gradient at 0 is 0.

    Parameters
    ----------
    input : Tensor

    Examples
    --------
    >>> import minires as mr
    >>> mr.ops.relu(mr.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return devices.of(as_array(input)).relu(input)


@relu.vjp
def _(g: Array, output: Array) -> Array:
    return rectified(g, output)


def rectified(g: Array, output: Array) -> Array:
    """What a ReLU with this output lets through of g: a nan passes, unlike a dead unit's zero."""
    if isinstance(g, Tensor):
        return where(less_equal(output, 0), 0.0, g)
    return devices.of(g).relu_backward(g, output)


@op
def relu6(input: Array) -> Array:
    """min(max(input, 0), 6); its gradient at 0 and at 6 is 0.

    Parameters
    ----------
    input : Tensor

    Examples
    --------
    >>> import minires as mr
    >>> mr.ops.relu6(mr.tensor([-1.0, 2.0, 7.0]))
    tensor([0., 2., 6.])
    """
    return devices.of(as_array(input)).apply("clip", input, 0, 6)


@relu6.vjp
def _(g: Array, output: Array) -> Array:
    return where(logical_or(less_equal(output, 0), greater_equal(output, 6)), 0.0, g)


@op
def _leaky_relu(x: Array, *, negative_slope: float) -> Array:
    device = devices.of(as_array(x))

    def compute(x: Array) -> Array:
        return device.xp.where(x > 0, x, x * negative_slope)

    return device.apply(compute, device.floating(x))


@_leaky_relu.vjp
def _(g: Array, x: Array, negative_slope: float) -> Array:
    return where(greater(x, 0), g, mul(g, negative_slope))


def leaky_relu(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """The input where it is positive, else negative_slope * input.

    Parameters
    ----------
    input : Tensor
    negative_slope : float
    """
    return _leaky_relu(input, negative_slope=negative_slope)


@op
def sigmoid(input: Array) -> Array:
    """1 / (1 + e^-input), without overflow."""
    device = devices.of(as_array(input))
    xp = device.xp

    def compute(x: Array) -> Array:
        # e^-|x| never overflows; the two branches are the same function.
        decay = xp.exp(-xp.abs(x))
        return xp.where(x >= 0, 1 / (1 + decay), decay / (1 + decay))

    return device.apply(compute, device.floating(input))


@sigmoid.vjp
def _(g: Array, output: Array) -> Array:
    return mul(g, mul(output, sub(1.0, output)))


_SQRT_HALF = 0.7071067811865476
_SQRT_TWO_OVER_PI = 0.7978845608028654
_INVERSE_SQRT_TWO_PI = 0.3989422804014327


@op(name="gelu")
def _gelu_exact(x: Array) -> Array:
    device = devices.of(as_array(x))

    def compute(x: Array) -> Array:
        return x * (0.5 * (1 + device.erf(x * _SQRT_HALF)))

    return device.apply(compute, device.floating(x))


@_gelu_exact.vjp
def _(g: Array, x: Array) -> Array:
    below = mul(add(erf(mul(x, _SQRT_HALF)), 1.0), 0.5)
    density = mul(exp(mul(mul(x, x), -0.5)), _INVERSE_SQRT_TWO_PI)
    return mul(g, add(below, mul(x, density)))


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x * P(Z <= x) for a standard normal Z (Hendrycks and Gimpel 2016, arXiv 1606.08415).

    Parameters
    ----------
    input : Tensor
    approximate : {"none", "tanh"}
        "tanh" replaces the normal distribution by the paper's tanh formula.

    Raises
    ------
    ValueError
        If `approximate` is neither.
    """
    if approximate == "none":
        return _gelu_exact(input)
    if approximate != "tanh":
        raise ValueError(f"gelu: approximate must be 'none' or 'tanh', found {approximate!r}")
    cubic = mul(mul(mul(input, input), input), 0.044715)
    inner = mul(add(input, cubic), _SQRT_TWO_OVER_PI)
    return mul(mul(input, 0.5), add(tanh(inner), 1.0))


@op
def _log_softmax(x: Array, *, dim: int) -> Array:
    device = devices.of(as_array(x))
    xp, x = device.xp, device.floating(x)
    if x.size == 0:
        return x.copy()
    # A row of -inf alone has no probabilities: it is nan, in silence.
    with device.quiet():
        shifted = x - x.max(dim, keepdims=True)
    total = xp.exp(shifted).sum(dim, dtype=devices.accumulator(x.dtype), keepdims=True)
    return shifted - xp.log(total).astype(x.dtype)


@_log_softmax.vjp
def _(g: Array, output: Array, dim: int) -> Array:
    return sub(g, mul(exp(output), sum(g, dim, keepdim=True)))


@_log_softmax.twin
def _(x: Tensor, *, dim: int) -> Tensor:
    return sub(x, logsumexp(x, dim, keepdim=True))


def log_softmax(input: Tensor, dim: int = -1) -> Tensor:
    """input - log(sum(exp(input))) along `dim`: logarithms of probabilities.

    Parameters
    ----------
    input : Tensor
    dim : int
    """
    return _log_softmax(input, dim=axis_of(dim, len(input.shape), "log_softmax"))


@op
def _softmax(x: Array, *, dim: int) -> Array:
    device = devices.of(as_array(x))
    xp, x = device.xp, device.floating(x)
    if x.size == 0:
        return x.copy()
    with device.quiet():
        powers = xp.exp(x - x.max(dim, keepdims=True))
    total = powers.sum(dim, dtype=devices.accumulator(x.dtype), keepdims=True)
    return (powers / total).astype(x.dtype)


@_softmax.vjp
def _(g: Array, output: Array, dim: int) -> Array:
    return mul(output, sub(g, sum(mul(g, output), dim, keepdim=True)))


@_softmax.twin
def _(x: Tensor, *, dim: int) -> Tensor:
    return exp(_log_softmax(x, dim=dim))


def softmax(input: Tensor, dim: int = -1) -> Tensor:
    """exp(input) / sum(exp(input)) along `dim`: probabilities that sum to 1.

    Parameters
    ----------
    input : Tensor
    dim : int

    Examples
    --------
    >>> import minires as mr
    >>> mr.ops.softmax(mr.zeros(2), dim=0)
    tensor([0.5, 0.5])
    """
    return _softmax(input, dim=axis_of(dim, len(input.shape), "softmax"))
