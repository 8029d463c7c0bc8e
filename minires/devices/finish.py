"""What follows a convolution, done to each chunk of its result while that lies in the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import rows
from .columns import Block

Array = Any


class Finish(NamedTuple):
    """Add a bias (O,), then a shortcut (N, OH, OW, O), then apply ReLU: what there is of them."""

    bias: Array | None = None
    shortcut: Array | None = None
    rectify: bool = False

    def of(self, y: Array) -> Callable[[Block], None]:
        """Return what finishes a chunk of y (N, OH, OW, O)."""
        _, _, ow, o = y.shape
        shifts = None if self.bias is None else rows.repeated(self.bias, ow, y.dtype)
        zeros = np.zeros(ow * o, y.dtype) if self.rectify else None

        def finish(chunk: Block) -> None:
            values = chunk.of(y).reshape(-1, ow * o)
            if shifts is not None:
                values += shifts
            if self.shortcut is not None:
                values += chunk.of(self.shortcut).reshape(-1, ow * o)
            if zeros is not None:
                # A zero as first operand would let -0.0 pass.
                np.maximum(values, zeros, out=values)

        return finish
