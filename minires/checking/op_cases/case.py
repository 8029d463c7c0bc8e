"""One fixed application of an op, and the numbers for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Case(NamedTuple):
    """A function of Tensors that applies an op, and where to check its gradient.

    Attributes
    ----------
    op : str
        The op's name in the registry.
    about : str
        What is particular about this case: ``"stride 2, padding 1"``.
    run : callable
        From Tensors to a Tensor.
    inputs : tuple of array, float64
        Away from kinks, so that a step of a difference crosses none.
    """

    op: str
    about: str
    run: Callable[..., Any]
    inputs: tuple[Array, ...]


class Draw:
    """Random numbers from one seed."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)

    def normal(self, *shape: int) -> Array:
        """Return numbers of both signs."""
        return np.asarray(self.rng.standard_normal(shape))

    def positive(self, *shape: int) -> Array:
        """Return numbers from 0.5 to 2."""
        return np.asarray(self.rng.uniform(0.5, 2.0, shape))

    def apart(self, *shape: int) -> Array:
        """Return numbers from -1 to 1, each far from every other and from 0: no ties, no kinks."""
        size = math.prod(shape)
        steps = self.rng.permutation(2 * size)[:size] - size
        steps = np.where(steps >= 0, steps + 1, steps)
        return np.asarray((steps + self.rng.uniform(-0.2, 0.2, size)) / size).reshape(shape)

    def beside(self, kinks: Callable[..., Any], *shapes: tuple[int, ...]) -> tuple[Array, ...]:
        """Draw normal inputs until `kinks`, of which the op kinks at 0, is nowhere near 0."""
        while True:
            inputs = tuple(self.normal(*shape) for shape in shapes)
            if np.abs(kinks(*inputs)).min() > 1e-3:
                return inputs
