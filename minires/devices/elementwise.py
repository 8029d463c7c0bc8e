"""Addition and ReLU on plain arrays."""

from __future__ import annotations

from typing import Any

Array = Any


class ElementwiseKernels:
    """The device's element-wise kernels, written with its `xp`."""

    xp: Any

    def add(self, a: Array, b: Array) -> Array:
        """a + b, of equal shapes."""
        return self.xp.add(a, b)

    def relu(self, x: Array) -> Array:
        """max(x, 0); never -0.0, and NaN stays NaN."""
        return self.xp.maximum(x, 0) + x.dtype.type(0)

    def relu_backward(self, g: Array, output: Array) -> Array:
        """g where the output is not 0: a NaN passes its gradient on."""
        return self.xp.where(output <= 0, g.dtype.type(0), g)
