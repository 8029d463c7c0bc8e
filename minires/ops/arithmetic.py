"""Arithmetic of two operands, with broadcasting, and choosing between them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from minires import devices
from minires.autograd import Tensor, located, op
from minires.devices import Array

from .operands import as_array, device_of, float_dtype, is_number, same_dtype

Needs = tuple[bool, ...]

_NEGATIVE_POWER = "pow: integers cannot have negative powers; make the base floating"


def _broadcast_error(name: str, a: Any, b: Any) -> ValueError:
    shapes = tuple(getattr(a, "shape", ())), tuple(getattr(b, "shape", ()))
    return ValueError(located(f"{name}: shapes {shapes[0]} and {shapes[1]} do not broadcast"))


def _combine(name: str, compute: Callable[[Any, Any], Any], a: Any, b: Any) -> Array:
    """Compute with two operands in their common dtype; `compute` is NumPy's way to do it."""
    if getattr(a, "dtype", None) is not getattr(b, "dtype", a):
        a, b = same_dtype(a, b)
    try:
        if a.__class__ in _HOST or b.__class__ in _HOST:
            return compute(a, b)
        return device_of(a, b).apply(_UFUNCS.get(name, name), a, b)
    except ValueError as error:
        raise _broadcast_error(name, a, b) from error
    except TypeError as error:
        found = " and ".join(str(getattr(x, "dtype", type(x).__name__)) for x in (a, b))
        raise TypeError(located(f"{name}: not defined for {found}")) from error


# The class of the CPU's arrays. Python's operators are the quickest way to compute with them;
# other devices are asked by the name of the function.
_HOST = {type(devices.cpu.xp.empty(0))}
_UFUNCS = {
    "sub": "subtract",
    "mul": "multiply",
    "div": "true_divide",
    "floor_div": "floor_divide",
}


def _truth(x: Any) -> Any:
    """Whether x is not zero, element by element."""
    return bool(x) if is_number(x) else devices.of(x).astype(as_array(x), devices.bool_)


@op(broadcasts=True)
def add(a: Array, b: Array) -> Array:
    """a + b, element by element.

    Parameters
    ----------
    a, b : Tensor or number
        Their shapes broadcast.

    Examples
    --------
    >>> import minires as mr
    >>> mr.ops.add(mr.tensor([1.0, 2.0]), 1)
    tensor([2., 3.])
    """
    return _combine("add", operator.add, a, b)


@add.vjp
def _(g: Array) -> Any:
    return g, g


@op(broadcasts=True)
def sub(a: Array, b: Array) -> Array:
    """a - b, element by element."""
    return _combine("sub", operator.sub, a, b)


@sub.vjp
def _(g: Array, needs: Needs) -> Any:
    return g, neg(g) if needs[1] else None


@op(broadcasts=True)
def mul(a: Array, b: Array) -> Array:
    """a * b, element by element."""
    return _combine("mul", operator.mul, a, b)


@mul.vjp
def _(g: Array, a: Any, b: Any, needs: Needs) -> Any:
    return mul(g, b) if needs[0] else None, mul(g, a) if needs[1] else None


@op(broadcasts=True)
def div(a: Array, b: Array) -> Array:
    """a / b, element by element; dividing integers gives float32."""
    return _combine("div", operator.truediv, *float_dtype(a, b))


@div.vjp
def _(g: Array, a: Any, b: Any, needs: Needs) -> Any:
    return (
        div(g, b) if needs[0] else None,
        neg(div(div(mul(g, a), b), b)) if needs[1] else None,
    )


@op
def neg(x: Array) -> Array:
    """-x, element by element."""
    return -x if x.__class__ in _HOST else devices.of(x).apply("negative", x)


@neg.vjp
def _(g: Array) -> Array:
    return neg(g)


@op(broadcasts=True)
def pow(a: Array, b: Array) -> Array:
    """a ** b, element by element."""
    a, b = same_dtype(a, b)
    device = device_of(a, b)
    if b.__class__ is int and b < 0 and a.dtype.kind in "iu":  # also of an empty array
        raise ValueError(located(_NEGATIVE_POWER))
    try:
        # NumPy's operator squares and takes roots where the exponent is 2 or 1/2.
        return a**b if device is devices.cpu else device.apply("power", a, b)
    except ValueError as error:
        if "negative integer" in str(error):
            raise ValueError(located(_NEGATIVE_POWER)) from error
        raise _broadcast_error("pow", a, b) from error


@pow.vjp
def _(g: Array, a: Any, b: Any, output: Array, needs: Needs) -> Any:
    return (
        mul(g, mul(b, pow(a, _lowered(a, b)))) if needs[0] else None,
        mul(g, mul(output, _log_of_base(a, b))) if needs[1] else None,
    )


def _lowered(a: Any, b: Any) -> Any:
    """b - 1, but 0 where a and b are 0: there a**b is constant, and 0 * a**-1 would be nan."""
    if is_number(b):
        return b - 1 if b else 0
    return where(logical_and(equal(a, 0), equal(b, 0)), 0, sub(b, 1))


def _log_of_base(a: Any, b: Any) -> Any:
    """log(a), but 0 where a is 0 and b >= 0: there a**b is constant, and log(a) infinite."""
    from .elementary import log

    if is_number(a) and a > 0:
        return math.log(a)
    return log(where(logical_and(equal(a, 0), greater_equal(b, 0)), 1, a))


@op(broadcasts=True)
def maximum(a: Array, b: Array) -> Array:
    """The larger of a and b, element by element; equal values share the gradient half and half."""
    return _combine("maximum", devices.cpu.xp.maximum, a, b)


@maximum.vjp
def _(g: Array, a: Any, b: Any) -> Any:
    return _split(g, greater(a, b), equal(a, b))


@op(broadcasts=True)
def minimum(a: Array, b: Array) -> Array:
    """The smaller of a and b, element by element; equal values share the gradient half and half."""
    return _combine("minimum", devices.cpu.xp.minimum, a, b)


@minimum.vjp
def _(g: Array, a: Any, b: Any) -> Any:
    return _split(g, less(a, b), equal(a, b))


def _split(g: Array, first: Array, tie: Array) -> Any:
    d_first = where(tie, mul(g, 0.5), where(first, g, 0.0))
    return d_first, sub(g, d_first)


@op(broadcasts=True)
def _where(condition: Array, a: Array, b: Array) -> Array:
    a, b = same_dtype(a, b)
    dtype = devices.result_dtype(a, b)
    try:
        device = device_of(condition)
        return device.astype(device.apply("where", condition, a, b), dtype)
    except ValueError as error:
        raise _broadcast_error("where", a, b) from error


@_where.vjp
def _(g: Array, condition: Array, needs: Needs) -> Any:
    return (
        None,
        where(condition, g, 0.0) if needs[1] else None,
        where(condition, 0.0, g) if needs[2] else None,
    )


def where(condition: Tensor, a: Any, b: Any) -> Tensor:
    """Choose a where `condition` is true, else b; the gradient goes where the value came from.

    Parameters
    ----------
    condition : Tensor or array of bool
    a, b : Tensor or number
        All three broadcast.

    Examples
    --------
    >>> import minires as mr
    >>> x = mr.tensor([-1.0, 2.0])
    >>> mr.where(x > 0, x, 0)
    tensor([0., 2.])
    """
    return _where(condition.detach() if isinstance(condition, Tensor) else condition, a, b)


@op(differentiable=False)
def equal(a: Array, b: Array) -> Array:
    """a == b, element by element, as bool."""
    return _combine("equal", operator.eq, a, b)


@op(differentiable=False)
def not_equal(a: Array, b: Array) -> Array:
    """a != b, element by element, as bool."""
    return _combine("not_equal", operator.ne, a, b)


@op(differentiable=False)
def less(a: Array, b: Array) -> Array:
    """a < b, element by element, as bool."""
    return _combine("less", operator.lt, a, b)


@op(differentiable=False)
def less_equal(a: Array, b: Array) -> Array:
    """a <= b, element by element, as bool."""
    return _combine("less_equal", operator.le, a, b)


@op(differentiable=False)
def greater(a: Array, b: Array) -> Array:
    """a > b, element by element, as bool."""
    return _combine("greater", operator.gt, a, b)


@op(differentiable=False)
def greater_equal(a: Array, b: Array) -> Array:
    """a >= b, element by element, as bool."""
    return _combine("greater_equal", operator.ge, a, b)


@op(differentiable=False)
def floor_div(a: Array, b: Array) -> Array:
    """Largest whole number not above a / b, element by element; it carries no gradient."""
    return _combine("floor_div", operator.floordiv, a, b)


@op(broadcasts=True)
def remainder(a: Array, b: Array) -> Array:
    """a - floor(a / b) * b, element by element; the gradient takes the floor for a constant."""
    return _combine("remainder", operator.mod, a, b)


@remainder.vjp
def _(g: Array, a: Any, b: Any, needs: Needs) -> Any:
    return g, neg(mul(g, floor_div(a, b))) if needs[1] else None


@op(differentiable=False)
def logical_not(x: Array) -> Array:
    """Whether x is zero, element by element, as bool."""
    return devices.of(x).apply("logical_not", x)


@op(differentiable=False)
def logical_and(a: Array, b: Array) -> Array:
    """Whether a and b are both non-zero, element by element, as bool."""
    return _combine("logical_and", operator.and_, _truth(a), _truth(b))


@op(differentiable=False)
def logical_or(a: Array, b: Array) -> Array:
    """Whether a or b is non-zero, element by element, as bool."""
    return _combine("logical_or", operator.or_, _truth(a), _truth(b))


@op(differentiable=False)
def bitwise_and(a: Array, b: Array) -> Array:
    """a & b: bit by bit of integers, logical and of bools."""
    return _combine("bitwise_and", operator.and_, a, b)


@op(differentiable=False)
def bitwise_or(a: Array, b: Array) -> Array:
    """a | b: bit by bit of integers, logical or of bools."""
    return _combine("bitwise_or", operator.or_, a, b)


@op(differentiable=False)
def bitwise_xor(a: Array, b: Array) -> Array:
    """a ^ b: bit by bit of integers, exclusive or of bools."""
    return _combine("bitwise_xor", operator.xor, a, b)


@op(differentiable=False)
def bitwise_not(x: Array) -> Array:
    """~x: bit by bit of integers, logical not of bools."""
    return devices.of(x).apply("invert", x)
