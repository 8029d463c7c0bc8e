"""Checks of tutorial 2, on broadcasting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minires.checking import gradcheck

from ..exercise import Wrong, check, noticing

_SHAPES: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((3,), (4, 3)),
    ((4, 1), (4, 3)),
    ((1, 3), (4, 3)),
    ((), (2, 3)),
    ((2, 1, 1), (5, 2, 4, 4)),
    ((1, 3, 1, 1), (2, 3, 4, 5)),
    ((2, 3), (2, 3)),
)


@check
def unbroadcast(answer: Callable[..., Any]) -> str:
    """The sum over the axes along which a value was repeated."""
    rng = np.random.default_rng(0)
    for shape, stretched in _SHAPES:
        x, g = rng.standard_normal(shape), rng.standard_normal(stretched)
        found = np.asarray(answer(g.copy(), shape))
        told = f"For g of shape {stretched} and a value of shape {shape}"
        if found.shape != shape:
            raise Wrong(
                f"{told} it returns shape {found.shape}. A gradient has the shape of its value:"
                " which axes of length 1 were repeated?"
            )
        # <B x, g> = <x, B^T g>
        left, right = float((np.broadcast_to(x, stretched) * g).sum()), float((x * found).sum())
        if not np.isclose(left, right):
            raise Wrong(
                f"{told}, <Bx, g> is {left:.4g} and <x, what you return> is {right:.4g}; they must"
                " be equal. What was repeated is summed: no mean, and nothing left out."
            )
    return f"<Bx, g> = <x, Bᵀg> for {len(_SHAPES)} pairs of shapes."


@check
def mul_vjp(answer: Callable[..., Any]) -> str:
    """Both gradients of a product whose factors broadcast."""
    rng = np.random.default_rng(0)
    for shapes in (((4, 3), (4, 3)), ((4, 3), (3,)), ((2, 1, 4), (3, 1)), ((), (2, 2))):
        a, b = (rng.standard_normal(shape) for shape in shapes)
        _agree(np.multiply, answer, (a, b), ("a", "b"))
    return "The gradient checker agrees, for four pairs of shapes."


@check
def channel_bias(answer: Any) -> str:
    """A bias added to each channel, and its VJP."""
    forward, vjp = map(noticing, answer)
    rng = np.random.default_rng(0)
    # As many channels as columns, so that a bias along the width fits as well.
    maps, bias = rng.standard_normal((2, 4, 3, 4)), rng.standard_normal(4)
    added = np.asarray(forward(maps, bias)) - maps
    if added.shape != maps.shape or not np.allclose(added, bias[:, None, None]):
        raise Wrong(
            "What is added to channel c should be bias[c] at every pixel of every image; aligned at"
            " the right, a shape (C,) lies along W. Give it the shape (1, C, 1, 1)."
        )
    _agree(forward, vjp, (maps, bias), ("the maps", "the bias"))
    return "Added to channels, and the gradient checker agrees."


def _agree(forward: Any, vjp: Any, inputs: tuple[Any, ...], names: tuple[str, ...]) -> None:
    """Compare a VJP with differences, and tell in which input it is wrong."""
    shapes = " and ".join(str(each.shape) for each in inputs)
    found = vjp(np.ones(np.asarray(forward(*inputs)).shape), *inputs)
    for name, value, gradient in zip(names, inputs, found, strict=True):
        if np.shape(gradient) != value.shape:
            raise Wrong(
                f"For shapes {shapes} the gradient of {name} has shape {np.shape(gradient)}; it"
                " must"
                f" have that of {name}, {value.shape}."
            )
    report = gradcheck((forward, vjp), list(inputs))
    if not report:
        wrong = [
            name for name, each in zip(names, report.inputs, strict=False) if each.wrong
        ] or list(names)
        raise Wrong(
            f"For shapes {shapes} differences say otherwise of the gradient of"
            f" {' and of '.join(wrong)}."
        )
