"""Gradients of untrained networks with respect to their input, and how alike they are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minires import nn, ops
from minires.autograd import Tensor, no_grad


class LayerStack(nn.Module):
    """Layers of ReLU and a linear map, each alone or as a branch; last, a random weighted sum.

    Parameters
    ----------
    kind : str
        "plain" or "residual"; with ", branch/√L" branches are scaled, with " with BN" there is
        batch norm before each ReLU.
    depth, width : int
    scalar : bool
        The input is a single number.
    """

    def __init__(self, kind: str, depth: int, width: int, scalar: bool = False) -> None:
        super().__init__()
        self.is_residual = kind.startswith("residual")
        self.scale = 1 / math.sqrt(depth) if kind.endswith("/√L") else 1.0
        self.start = nn.Linear(1, width) if scalar else nn.Identity()
        if isinstance(self.start, nn.Linear):
            nn.init.normal_(self.start.weight)
        # With this momentum the statistics are those of the last inputs alone.
        norms = [
            nn.BatchNorm1d(width, momentum=1.0) if kind.endswith("BN") else nn.Identity()
            for _ in range(depth)
        ]
        if scalar and isinstance(norms[0], nn.BatchNorm1d):
            # Else all units of the first layer would bend at the middle of the line.
            nn.init.normal_(norms[0].bias)
        self.layers = nn.ModuleList(
            nn.Sequential(norm, nn.ReLU(), _he(nn.Linear(width, width, bias=False)))
            for norm in norms
        )
        self.sum = nn.Linear(width, 1, bias=False)
        nn.init.normal_(self.sum.weight, std=1 / math.sqrt(width))

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (N, width), or (N, 1), to numbers (N, 1)."""
        x = self.start(x)
        for layer in self.layers:
            branch = layer(x)
            x = ops.residual_add(x, branch * self.scale) if self.is_residual else branch
        return self.sum(x)  # type: ignore[no-any-return]


def _he(layer: nn.Linear) -> nn.Linear:
    nn.init.kaiming_normal_(layer.weight)
    return layer


def input_gradients(network: LayerStack, inputs: np.ndarray[Any, Any], device: str) -> Any:
    """Return the gradient of the output at each input, a row each, in float64.

    Parameters
    ----------
    network : LayerStack
    inputs : array (N, width) or (N, 1)
    device : str

    Returns
    -------
    array of the same shape
    """
    network.to("float64").to(device)
    x = ops.tensor(inputs, device=device, requires_grad=True)
    with no_grad():
        network.train()(x)  # so that norms know the statistics
    ops.sum(network.eval()(x)).backward()
    assert x.grad is not None
    return x.grad.to("cpu").numpy()


def mean_cosine(rows: np.ndarray[Any, Any]) -> float:
    """Return the mean cosine between two different rows.

    Parameters
    ----------
    rows : array (N, D)

    Examples
    --------
    >>> round(mean_cosine(np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])), 3)
    0.333
    """
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    count = len(rows)
    # |sum of unit rows|² is the sum of all their cosines; those of a row with itself are 1.
    return float(((unit.sum(0) ** 2).sum() - count) / (count * (count - 1)))


def autocorrelation(line: np.ndarray[Any, Any], lags: int) -> np.ndarray[Any, Any]:
    """Return the correlation of a line of numbers with itself, moved by 0 to `lags` places.

    Parameters
    ----------
    line : array (N,)
    lags : int

    Examples
    --------
    >>> [round(float(each), 2) for each in autocorrelation(np.array([1.0, -1, 1, -1]), 2)]
    [1.0, -0.75, 0.5]
    """
    centred = line - line.mean()
    products = [centred[lag:] @ centred[: len(line) - lag] for lag in range(lags + 1)]
    return np.array([product / products[0] for product in products])
