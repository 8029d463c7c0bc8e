"""Elementary functions of one operand, element by element."""

from __future__ import annotations

from typing import Any

from minires import devices
from minires.autograd import Tensor, op
from minires.devices import Array

from .arithmetic import div, greater, less, logical_or, mul, neg, not_equal, sub, where
from .operands import as_array


def _of_floats(name: str, x: Array) -> Array:
    """Compute the array library's function `name`; of integers, in float32."""
    device = devices.of(as_array(x))
    return device.apply(name, device.floating(x))


@op
def exp(x: Array) -> Array:
    """e^x.

    Examples
    --------
    >>> import minires as mr
    >>> mr.ops.exp(mr.tensor([0.0, 0.6931472]))
    tensor([1., 2.])
    """
    return _of_floats("exp", x)


@exp.vjp
def _(g: Array, output: Array) -> Array:
    return mul(g, output)


@op
def log(x: Array) -> Array:
    """Natural logarithm; -inf at 0, nan below."""
    with devices.of(as_array(x)).quiet():
        return _of_floats("log", x)


@log.vjp
def _(g: Array, x: Array) -> Array:
    return div(g, x)


@op
def sqrt(x: Array) -> Array:
    """Square root; nan below 0."""
    with devices.of(as_array(x)).quiet():
        return _of_floats("sqrt", x)


@sqrt.vjp
def _(g: Array, output: Array) -> Array:
    return div(g, mul(output, 2.0))


@op
def tanh(input: Array) -> Array:
    """Hyperbolic tangent."""
    return _of_floats("tanh", input)


@tanh.vjp
def _(g: Array, output: Array) -> Array:
    return mul(g, sub(1.0, mul(output, output)))


@op
def erf(x: Array) -> Array:
    """Error function, 2 / sqrt(pi) * integral of exp(-t^2) from 0 to x."""
    device = devices.of(as_array(x))
    return device.apply(device.erf, device.floating(x))


@erf.vjp
def _(g: Array, x: Array) -> Array:
    two_over_sqrt_pi = 1.1283791670955126
    return mul(g, mul(exp(neg(mul(x, x))), two_over_sqrt_pi))


@op
def sin(x: Array) -> Array:
    """Sine of an angle in radians."""
    return _of_floats("sin", x)


@sin.vjp
def _(g: Array, x: Array) -> Array:
    return mul(g, cos(x))


@op
def cos(x: Array) -> Array:
    """Cosine of an angle in radians."""
    return _of_floats("cos", x)


@cos.vjp
def _(g: Array, x: Array) -> Array:
    return neg(mul(g, sin(x)))


@op
def abs(x: Array) -> Array:
    """Absolute value; its gradient at 0 is 0."""
    return devices.of(as_array(x)).apply("abs", x)


@abs.vjp
def _(g: Array, x: Array) -> Array:
    return mul(g, sign(x))


@op(differentiable=False)
def sign(x: Array) -> Array:
    """-1, 0 or 1 by the sign of x; it carries no gradient."""
    # A bool has no sign, and is its own answer.
    return x.copy() if as_array(x).dtype == devices.bool_ else devices.of(x).apply("sign", x)


@op(differentiable=False)
def isnan(x: Array) -> Array:
    """Whether x is not a number, as bool."""
    return devices.of(as_array(x)).apply("isnan", x)


@op(differentiable=False)
def isfinite(x: Array) -> Array:
    """Whether x is neither infinite nor nan, as bool."""
    return devices.of(as_array(x)).apply("isfinite", x)


@op
def _clip(x: Array, *, min: float | None, max: float | None) -> Array:
    device = devices.of(as_array(x))
    bounds = [bound for bound in (min, max) if bound is not None]
    return device.apply("clip", device.astype(x, devices.result_dtype(x, *bounds)), min, max)


@_clip.vjp
def _(g: Array, x: Array, min: float | None, max: float | None) -> Array:
    if min is not None:
        g = where(less(x, min), 0.0, g)
    if max is not None:
        g = where(greater(x, max), 0.0, g)
    return g


def clip(
    input: Tensor, min: Tensor | float | None = None, max: Tensor | float | None = None
) -> Tensor:
    """Limit the values to [min, max]; the gradient is 0 where a value was cut.

    Parameters
    ----------
    input : Tensor
    min, max : float or Tensor, optional
        At least one of them. Where they contradict each other, `max` decides. A Tensor's values
        get the gradient where they took another's place; all shapes broadcast.

    Raises
    ------
    ValueError
        If neither limit is given.
    """
    if min is None and max is None:
        raise ValueError("clip: give min, max, or both")
    if hasattr(min, "dtype") or hasattr(max, "dtype"):
        above = input if min is None else _cut(input, min, less(input, min))
        return above if max is None else _cut(above, max, greater(above, max))
    return _clip(input, min=min, max=max)


def _cut(x: Tensor, limit: Any, beyond: Any) -> Tensor:
    """Put the limit in the place of what lies beyond it; a limit that is nan spreads."""
    return where(logical_or(beyond, not_equal(limit, limit)), limit, x)
