"""One drawn application of an op, and the dice it is drawn with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """A function of Tensors, inputs for it, and what it should give.

    `reference` computes the same from arrays, `torch` from PyTorch's module and its tensors.
    `step` is how far a central difference may look: inputs keep away from kinks by more.
    """

    run: Callable[..., Any]
    inputs: tuple[np.ndarray, ...]
    reference: Callable[..., Any]
    torch: Callable[..., Any] | None = None
    step: float = 1e-6


def beside(x: Any, value: Any) -> Any:
    """Arrays (also those in a tuple) on the device of the Tensor x; all else as it is."""
    if isinstance(value, tuple):
        return tuple(beside(x, each) for each in value)
    return x.device.array(value) if isinstance(value, np.ndarray) else value


class Dice:
    """Hypothesis chooses shapes and options; the numbers come from a seed that it chooses."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.rng = np.random.default_rng(draw(st.integers(0, 2**20)))

    def choose(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def number(self, least: int, most: int) -> int:
        return self.draw(st.integers(least, most))

    def pair(self, least: int, most: int) -> tuple[int, int]:
        return self.number(least, most), self.number(least, most)

    def flag(self) -> bool:
        return self.draw(st.booleans())

    def shape(self, least_dims: int = 0, most_dims: int = 3, least: int = 0) -> Shape:
        return self.draw(
            array_shapes(min_dims=least_dims, max_dims=most_dims, min_side=least, max_side=3)
            if least_dims
            else st.just(()) | array_shapes(max_dims=most_dims, min_side=least, max_side=3)
        )

    def shapes(self, count: int) -> tuple[Shape, ...]:
        """Shapes that broadcast with one another."""
        drawn = mutually_broadcastable_shapes(num_shapes=count, min_side=0, max_side=3, max_dims=3)
        return self.draw(drawn).input_shapes

    def axes(self, ndim: int) -> Any:
        """One axis, some, or all; counted from either end."""
        some = st.lists(st.integers(0, ndim - 1), unique=True, min_size=1) if ndim else st.none()
        found = self.draw(st.none() | some)
        if found is None:
            return None
        found = [axis - ndim if self.flag() else axis for axis in found]
        return found[0] if len(found) == 1 else tuple(found)

    def axis(self, ndim: int) -> int:
        return self.number(-ndim, ndim - 1)

    def normal(self, *shape: int) -> np.ndarray:
        return np.asarray(self.rng.standard_normal(shape))

    def positive(self, *shape: int) -> np.ndarray:
        return np.asarray(self.rng.uniform(0.5, 2.0, shape))

    def apart(self, *shape: int) -> np.ndarray:
        """Numbers of both signs, each at least 0.02 from every other and from 0."""
        size = int(np.prod(shape))
        steps = self.rng.permutation(2 * size + 1)[:size] - size
        steps = np.where(steps >= 0, steps + 1, steps)
        return ((steps + self.rng.uniform(-0.2, 0.2, size)) / max(size, 1)).reshape(shape)


Row = Callable[[Dice], Case]
