"""Element-wise functions of plain arrays; addition and ReLU, which every block has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Array = Any


class ElementwiseKernels:
    """The device's element-wise kernels, written with its `xp`."""

    xp: Any

    def apply(self, function: str | Callable[..., Array], *operands: Any) -> Array:
        """Return what an element-wise function makes of the operands, in their memory order.

        It is the name of one of the array library's, or computes with `xp` itself. It may be given
        its operands with axes in another order, all in the same.
        """
        compute = getattr(self.xp, function) if isinstance(function, str) else function
        return compute(*operands)

    def concatenate(self, arrays: Sequence[Array], axis: int) -> Array:
        """Join arrays along an axis, in their memory order."""
        return self.xp.concatenate(arrays, axis)

    def add_at(self, target: Array, index: Any, values: Array) -> None:
        """``target[index] += values`` in which every repetition of an index counts."""
        raise NotImplementedError

    def add(self, a: Array, b: Array) -> Array:
        """a + b, of equal shapes."""
        return self.xp.add(a, b)

    def relu(self, x: Array) -> Array:
        """max(x, 0); never -0.0, and NaN stays NaN."""
        return self.xp.maximum(x, 0) + x.dtype.type(0)

    def relu_backward(self, g: Array, output: Array) -> Array:
        """g where the output is not 0: a NaN passes its gradient on."""
        return self.xp.where(output <= 0, g.dtype.type(0), g)
