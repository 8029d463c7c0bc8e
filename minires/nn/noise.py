"""Layers that leave something out in training: values, channels, whole branches."""

from __future__ import annotations

from minires import ops
from minires.autograd import Tensor

from .module import Module


def _probability(p: float, layer: str) -> float:
    if not 0 <= p <= 1:
        raise ValueError(f"{layer}: p must lie between 0 and 1, found {p}")
    return p


class Dropout(Module):
    """In training, set values to 0 with probability p and scale the others by 1 / (1 - p).

    Parameters
    ----------
    p : float
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = _probability(p, "Dropout")

    def forward(self, x: Tensor) -> Tensor:
        """Apply `minires.ops.dropout`."""
        return ops.dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        """Return the arguments that `repr` shows."""
        return f"p={self.p}"


class Dropout2d(Module):
    """In training, set channels to 0 with probability p and scale the others by 1 / (1 - p).

    Parameters
    ----------
    p : float
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = _probability(p, "Dropout2d")

    def forward(self, x: Tensor) -> Tensor:
        """Apply `minires.ops.dropout2d` to x (N, C, *spatial)."""
        return ops.dropout2d(x, self.p, self.training)

    def extra_repr(self) -> str:
        """Return the arguments that `repr` shows."""
        return f"p={self.p}"


class StochasticDepth(Module):
    """In training, leave a residual branch out with probability p, or scale it by 1 / (1 - p).

    Parameters
    ----------
    p : float
    mode : {"batch", "row"}
        Whether one draw decides for all samples, or each sample has its own.
    """

    def __init__(self, p: float, mode: str) -> None:
        super().__init__()
        self.p = _probability(p, "StochasticDepth")
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        """Apply `minires.ops.stochastic_depth` to the branch's output x (N, ...)."""
        return ops.stochastic_depth(x, self.p, self.mode, self.training)

    def extra_repr(self) -> str:
        """Return the arguments that `repr` shows."""
        return f"p={self.p}, mode={self.mode!r}"
