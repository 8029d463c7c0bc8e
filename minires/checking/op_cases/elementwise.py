"""Cases of the ops that work element by element."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minires import nn, ops
from minires.autograd import Tensor, registry
from minires.devices import cpu
from minires.ops.creation import _transfer

from .case import Case, Draw

_BROADCAST = (3, 1, 2), (4, 1)


def cases() -> Iterator[Case]:
    """Yield all of them."""
    draw = Draw(1)
    for name, first, second in (
        ("add", draw.normal, draw.normal),
        ("sub", draw.normal, draw.normal),
        ("mul", draw.normal, draw.normal),
        ("div", draw.normal, draw.positive),
        ("pow", draw.positive, draw.normal),
    ):
        run = registry[name]
        yield Case(name, "equal shapes", run, (first(3, 4), second(3, 4)))
        a, b = _BROADCAST
        yield Case(name, "broadcasting", run, (first(*a), second(*b)))
        yield Case(name, "a number second", _with(run, 1.5), (draw.positive(3, 2),))
        yield Case(name, "a number first", _with(run, 1.5, first=True), (draw.positive(3, 2),))
    yield Case("pow", "a whole power of both signs", lambda x: x**3, (draw.normal(3, 4),))
    yield Case("pow", "its own exponent", lambda x: x**x, (draw.positive(3),))
    yield Case("mul", "both operands one Tensor", lambda x: x * x, (draw.normal(3, 4),))
    gated = draw.normal(3, 4, 2, 3), draw.normal(3, 4, 1, 1)
    yield Case("mul", "a sigmoid gate per channel", lambda x, g: x * ops.sigmoid(g), gated)
    yield from _choices(draw)
    yield from _of_one(draw)
    yield from _others(draw)


def _with(run: Callable[..., Any], number: float, first: bool = False) -> Callable[..., Any]:
    return (lambda x: run(number, x)) if first else (lambda x: run(x, number))


def _choices(draw: Draw) -> Iterator[Case]:
    for name in ("maximum", "minimum"):
        run = registry[name]
        values = draw.apart(24)
        yield Case(
            name, "equal shapes", run, (values[:12].reshape(3, 4), values[12:].reshape(3, 4))
        )
        values, (a, b) = draw.apart(10), _BROADCAST
        yield Case(name, "broadcasting", run, (values[:6].reshape(a), values[6:].reshape(b)))
    for shapes in (((3, 4), (3, 4)), _BROADCAST):
        condition = Tensor(draw.normal(3, 4, 2) > 0 if shapes is _BROADCAST else draw.normal(4) > 0)
        yield Case(
            "where",
            "broadcasting" if shapes is _BROADCAST else "a mask for every row",
            lambda x, y, condition=condition: ops.where(condition, x, y),
            (draw.normal(*shapes[0]), draw.normal(*shapes[1])),
        )
    for first, second in (((3, 4), (3, 4)), _BROADCAST):
        # The quotients lie between whole numbers, where the remainder jumps.
        dividend = draw.rng.integers(-3, 3, first) + draw.rng.uniform(0.3, 0.7, first)
        divisor = draw.rng.choice([-2.0, -1.0, 1.0, 2.0], second)
        divisor = divisor * draw.rng.uniform(0.98, 1.02, second)
        about = "equal shapes" if first == second else "broadcasting"
        yield Case("remainder", about, registry["remainder"], (dividend, divisor))
    for low, high in ((-0.5, 0.5), (None, 0.0), (-0.3, None)):
        edges = [edge for edge in (low, high) if edge is not None]
        yield Case(
            "clip",
            f"from {low} to {high}",
            lambda x, low=low, high=high: ops.clip(x, low, high),
            draw.beside(lambda x, edges=edges: np.subtract.outer(x, edges), (3, 4)),
        )


def _of_one(draw: Draw) -> Iterator[Case]:
    for names, values in (
        (("neg", "exp", "sin", "cos", "tanh", "erf", "sigmoid", "gelu"), draw.normal),
        (("log", "sqrt"), draw.positive),
        (("abs", "relu"), draw.apart),
    ):
        for name in names:
            for shape in ((3, 4), (3, 1, 2, 2), ()):
                about = f"{len(shape)} dimensions"
                yield Case(name, about, registry[name], (values(*shape),))
    # Where exp of it would overflow in one of the two directions, were it written carelessly.
    large = np.array([-30.0, -3.0, 3.0, 30.0])
    for name in ("tanh", "erf", "sigmoid", "gelu"):
        yield Case(name, "far from 0", registry[name], (large,))


def _others(draw: Draw) -> Iterator[Case]:
    for slope in (0.01, 0.3):
        yield Case(
            "leaky_relu",
            f"slope {slope}",
            lambda x, slope=slope: ops.leaky_relu(x, slope),
            (draw.apart(3, 4),),
        )
    shape = (3, 2, 3, 2)
    yield Case(
        "residual_add", "4 dimensions", ops.residual_add, (draw.normal(*shape), draw.normal(*shape))
    )
    yield Case(
        "residual_add",
        "shortcut and branch from one Tensor",
        lambda x: ops.residual_add(x, ops.tanh(x)),
        (draw.normal(3, 4),),
    )
    yield Case(
        "checkpoint",
        "a gate that is computed again, beside what it lets through",
        lambda x, y: nn.checkpoint(lambda x, y: x * ops.tanh(y) + x, x, y),
        (draw.normal(3, 4), draw.normal(3, 4)),
    )
    for about, kept in (("values", (3, 4, 2)), ("channels", (3, 4, 1)), ("samples", (3, 1, 1))):
        mask = (draw.normal(*kept) > 0) / 0.5
        yield Case(
            "dropout",
            f"half of the {about} is kept",
            lambda x, mask=mask: registry["dropout"](x, mask=mask),
            (draw.normal(3, 4, 2),),
        )
    near = draw.beside(lambda x: np.subtract.outer(3 * x, (0.0, 6.0)), (3, 4))
    yield Case("relu6", "some above 6", lambda x: ops.relu6(3.0 * x), near)
    yield Case("relu6", "none above 6", ops.relu6, (draw.apart(3, 4),))
    yield Case(
        "to",
        "4 dimensions",
        lambda x: _transfer(x, origin=cpu, target=cpu),
        (draw.normal(*shape),),
    )
    yield Case("clone", "4 dimensions", ops.clone, (draw.normal(*shape),))
    # The op itself, which the public `cast` leaves out where there is nothing to cast.
    yield Case(
        "cast",
        "to float64",
        lambda x: registry["cast"](x, dtype="float64"),
        (draw.normal(3, 4),),
    )
