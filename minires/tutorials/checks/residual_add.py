"""Checks of tutorial 9, on the residual addition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minires import ops
from minires.trace import record

from ..exercise import Wrong, check


def _told(numbers: Any) -> str:
    return f"({', '.join(f'{each:.2f}' for each in numbers)})"


@check
def block_vjp(answer: Callable[..., Any]) -> str:
    """The gradient of a residual block's input."""
    rng = np.random.default_rng(0)
    for size in (3, 1, 5):
        jacobian, g = rng.standard_normal((size, size)), rng.standard_normal(size)
        expected = g + jacobian.T @ g
        found = np.asarray(answer(g.copy(), lambda h, matrix=jacobian: matrix.T @ h))
        if found.shape != expected.shape:
            raise Wrong(
                f"The gradient of x has the shape of x, {expected.shape}; found {found.shape}."
            )
        if not np.allclose(found, expected):
            raise Wrong(
                f"Around the branch comes g itself, {_told(g)}, through it branch_vjp(g),"
                f" {_told(jacobian.T @ g)}; together {_told(expected)}, found {_told(found)}."
            )
    return "Three branches, each a random matrix."


@check
def shares(answer: Callable[..., Any]) -> str:
    """How much of a sum each part makes up."""
    rng = np.random.default_rng(0)
    for count, shape in [(3, (3,)), (2, (2, 3)), (4, (5,))]:
        parts = [rng.standard_normal(shape) for _ in range(count)]
        parts[-1] -= 1.5 * np.sum(parts[:-1], axis=0)  # points away from the sum of the others
        total = np.sum(parts, axis=0)
        expected = [float((part * total).sum() / (total * total).sum()) for part in parts]
        found = [float(each) for each in answer([part.copy() for part in parts])]
        if not np.isclose(sum(found), 1):
            raise Wrong(
                f"The shares of {count} parts sum to {sum(found):.3f}; they should sum to 1."
            )
        if not np.allclose(found, expected):
            raise Wrong(
                f"They should be {_told(expected)}; found {_told(found)}. A part that points away"
                " from the sum has a negative share, which norms do not show."
            )
    return "They sum to 1, for two, three and four parts."


@check
def block(answer: Callable[..., Any]) -> str:
    """A residual block whose fork the tracer takes apart."""
    rng = np.random.default_rng(0)
    x = ops.tensor(rng.standard_normal((2, 3, 5, 5)), requires_grad=True)
    weight = ops.tensor(rng.standard_normal((3, 3, 3, 3)) / 5, requires_grad=True)
    with record() as trace:
        y = answer(x, weight)
        y.sum().backward()
    expected = np.maximum(ops.conv2d(x.detach(), weight.detach(), padding=1).numpy(), 0)
    if y.shape != x.shape or not np.allclose(y.numpy(), x.numpy() + expected):
        raise Wrong("The result is not x + relu(conv2d(x, weight, padding=1)).")
    forks = trace.forks()
    if len(forks) != 1 or not forks[0].has_sides:
        raise Wrong(
            "The tracer sees no fork with a shortcut and a branch: a plain + has no names for its"
            " sides. Use mr.ops.residual_add(shortcut, branch)."
        )
    around = [part for part in forks[0].parts if part.side == "shortcut"]
    if len(around) != 1 or around[0].edge != "shortcut":
        raise Wrong(
            "The tracer must see x itself on the side called shortcut, the first argument, and the"
            " convolution of x on the one called branch."
        )
    through = forks[0].share("branch")
    if forks[0].verdict != "exact" or through is None:
        raise Wrong("The contributions do not add up to the gradient.")
    return f"A shortcut and a branch (share {through:.2f}), which add up bit for bit."
