"""Checks of tutorial 1, on the tape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minires import ops

from ..exercise import Wrong, check


class _Number:
    """Stands in for the tutorial's `Value`: a number that an answer may read."""

    def __init__(self, data: float) -> None:
        self.data = data

    def tanh(self) -> Any:
        """Say what `np.tanh(value)` should have been."""
        raise Wrong("A Value has its number in .data: np.tanh(value.data).")


@check
def tanh(answer: Callable[[Any], Any]) -> str:
    """A step of the tape: its number, and the factor of the one value that it is made of."""
    places = (-1.5, -0.2, 0.0, 0.7, 2.0)
    for at in places:
        given = _Number(at)
        result = answer(given)
        x = ops.tensor(np.float64(at), requires_grad=True)
        y = ops.tanh(x)
        y.backward()
        assert x.grad is not None
        if not hasattr(result, "made_of"):
            raise Wrong(f"It should return a Value; found {type(result).__name__}.")
        if not np.isclose(result.data, y.item()):
            raise Wrong(f"tanh({at}) is {y.item():.4g}, found {result.data:.4g}.")
        made_of = list(result.made_of)
        if made_of == []:
            raise Wrong(
                "The result is made of one value, the one given; without it no gradient finds its"
                " way back."
            )
        if len(made_of) != 1 or len(made_of[0]) != 2 or made_of[0][0] is not given:
            raise Wrong("The result is made of one pair, [(value, factor)].")
        factor = float(made_of[0][1])
        if not np.isclose(factor, x.grad.item()):
            raise Wrong(
                f"At {at} the factor should be {x.grad.item():.4g}, which is 1 - tanh({at})²; found"
                f" {factor:.4g}."
            )
    return f"Compared with minires' gradient at {len(places)} places."


@check
def gather(answer: Callable[[Any], Any]) -> str:
    """The gradient of a value is the sum of its contributions."""
    for uses in ([(1.0, 3.0)], [(1.0, 3.0), (1.0, 2.0), (1.0, 2.0)], [(0.5, -2.0), (2.0, 0.25)]):
        expected = sum(gradient * factor for gradient, factor in uses)
        found = answer(list(uses))
        if not np.isclose(found, expected):
            terms = " + ".join(f"{gradient:g}·{factor:g}" for gradient, factor in uses)
            raise Wrong(
                f"For {uses} the contributions are {terms} = {expected:g}; found {found:g}."
            )
    return "Compared for one, two and three uses."


_GRAPHS: tuple[Mapping[str, Sequence[str]], ...] = (
    {"x": [], "a": ["x"], "y": ["a"]},
    {"x": [], "a": ["x", "x"], "y": ["a", "a"]},
    # The shortcut from x to y is shorter than the way through a and b.
    {"x": [], "a": ["x"], "b": ["a"], "y": ["x", "b"]},
    {"w": [], "x": [], "a": ["x", "w"], "b": ["a", "w"], "c": ["b", "a"], "y": ["x", "c"]},
)


@check
def backward_order(answer: Callable[[Any], Any]) -> str:
    """An order in which each value comes before everything that it is made of."""
    for graph in _GRAPHS:
        order = list(answer({name: list(parents) for name, parents in graph.items()}))
        if sorted(order) != sorted(graph):
            raise Wrong(f"Each of {', '.join(graph)} has one turn; found the order {order}.")
        for name, parents in graph.items():
            for parent in parents:
                if order.index(parent) < order.index(name):
                    raise Wrong(
                        f"In {dict(graph)} the order {order} gives {parent!r} its turn before"
                        f" {name!r}, which was made of it and has not sent its contribution yet."
                    )
    return f"{len(_GRAPHS)} graphs, one of them with a shortcut."
