"""Element-wise functions of plain arrays; addition and ReLU, which every block has."""

from __future__ import annotations

from typing import Any

Array = Any


class ElementwiseKernels:
    """The device's element-wise kernels, written with its `xp`."""

    xp: Any

    def apply(self, name: str, *operands: Any) -> Array:
        """Return what the array library's element-wise function `name` makes of the operands.

        The result has the memory order of the operands, where they agree in it.
        """
        return getattr(self.xp, name)(*operands)

    def add(self, a: Array, b: Array) -> Array:
        """a + b, of equal shapes."""
        return self.xp.add(a, b)

    def relu(self, x: Array) -> Array:
        """max(x, 0); never -0.0, and NaN stays NaN."""
        return self.xp.maximum(x, 0) + x.dtype.type(0)

    def relu_backward(self, g: Array, output: Array) -> Array:
        """g where the output is not 0: a NaN passes its gradient on."""
        return self.xp.where(output <= 0, g.dtype.type(0), g)
