"""Layers without parameters: activations, local response normalisation, shapes, losses."""

from __future__ import annotations

from typing import Any

from minires import ops
from minires.autograd import Tensor

from .module import Module


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply `minires.ops.relu`."""
        return ops.relu(x)


class ReLU6(Module):
    """min(max(x, 0), 6)."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply `minires.ops.relu6`."""
        return ops.relu6(x)


class LeakyReLU(Module):
    """x where positive, else negative_slope * x.

    Parameters
    ----------
    negative_slope : float
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """Apply `minires.ops.leaky_relu`."""
        return ops.leaky_relu(x, negative_slope=self.negative_slope)

    def extra_repr(self) -> str:
        """Return the arguments that `repr` shows."""
        return f"negative_slope={self.negative_slope}"


class GELU(Module):
    """x * P(Z <= x) for a standard normal Z.

    Parameters
    ----------
    approximate : {"none", "tanh"}
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        """Apply `minires.ops.gelu`."""
        return ops.gelu(x, self.approximate)


class Tanh(Module):
    """Hyperbolic tangent."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply `minires.ops.tanh`."""
        return ops.tanh(x)


class Sigmoid(Module):
    """1 / (1 + e^-x)."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply `minires.ops.sigmoid`."""
        return ops.sigmoid(x)


class Softmax(Module):
    """Probabilities along an axis.

    Parameters
    ----------
    dim : int
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """Apply `minires.ops.softmax`."""
        return ops.softmax(x, self.dim)

    def extra_repr(self) -> str:
        """Return the arguments that `repr` shows."""
        return f"dim={self.dim}"


class LocalResponseNorm(Module):
    """Hold each unit down by its neighbours; see `minires.ops.local_response_norm`.

    Parameters
    ----------
    size : int
        How many neighbouring channels count.
    alpha, beta, k : float
    convention : {"mean", "sum"}
        Whether alpha multiplies the mean of the squares, as in PyTorch, or their sum, as in the
        paper of 2012.

    Examples
    --------
    >>> import minires as mr
    >>> mr.nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0, convention="sum")
    LocalResponseNorm(size=5, alpha=0.0001, beta=0.75, k=2.0, convention='sum')
    """

    def __init__(
        self,
        size: int,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 1.0,
        *,
        convention: str = "mean",
    ) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k
        self.convention = convention

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, C, *spatial) to the same shape."""
        return ops.local_response_norm(
            x, self.size, self.alpha, self.beta, self.k, convention=self.convention
        )

    def extra_repr(self) -> str:
        """Return the arguments that `repr` shows."""
        return (
            f"size={self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k},"
            f" convention={self.convention!r}"
        )


class Flatten(Module):
    """Join the axes from start_dim to end_dim.

    Parameters
    ----------
    start_dim, end_dim : int
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: Tensor) -> Tensor:
        """Apply `minires.ops.flatten`."""
        return ops.flatten(x, self.start_dim, self.end_dim)


class CrossEntropyLoss(Module):
    """Negative log-probability of the right class; see `minires.ops.cross_entropy`.

    Parameters
    ----------
    weight : Tensor, (C,), optional
        How much each class counts.
    ignore_index : int
        What is labelled so does not count.
    reduction : {"mean", "sum", "none"}
    label_smoothing : float
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.reduction = reduction
        self.label_smoothing = label_smoothing

    def forward(self, x: Tensor, target: Any) -> Tensor:
        """Compare logits x (N, C, *places) with class numbers (N, *places), or soft labels."""
        return ops.cross_entropy(
            x,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class MSELoss(Module):
    """Squared difference; see `minires.ops.mse_loss`.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
    """

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """Compare x with a target of equal shape."""
        return ops.mse_loss(x, target, reduction=self.reduction)
