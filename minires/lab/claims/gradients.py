"""Gradients at initialisation, of networks as their seeds have drawn them."""

from __future__ import annotations

import math

from minires import ops
from minires.autograd import Tensor, grad
from minires.data import digits
from minires.devices import float64, random
from minires.models import cifar_plain
from minires.nn import Module
from minires.ops import cross_entropy, randn, tensor
from minires.trace import Trace, record

SEEDS = (0, 1, 2)
ROUNDING = 1e-9  # of float64, many times over
_IMAGES = 64


def norm(value: Tensor) -> float:
    """Return the Euclidean norm of a Tensor."""
    return math.sqrt(float((value.detach().to(float64) ** 2).sum().item()))


def largest(value: Tensor) -> float:
    """Return the largest magnitude in a Tensor."""
    return float(ops.amax(ops.abs(value.detach())).item())


def gradient(output: Tensor, input: Tensor, g: Tensor | None = None) -> Tensor:
    """Return the gradient of a scalar, or of an output that g comes back to, for one input."""
    (found,) = grad(output, [input], None if g is None else [g], retain_graph=True)
    assert found is not None
    return found


def drawn(*shape: int, seed: int = 0) -> Tensor:
    """Return normal numbers in float64 that want a gradient."""
    with random.seeded(seed):
        return randn(*shape, dtype=float64, requires_grad=True)


def recorded(model: Module, *shape: int, seed: int = 0) -> Trace:
    """Record a training step of a classifier on noise (N, C, H, W), op by op."""
    with random.seeded(seed):
        images = randn(*shape)
    with record(model, replay=True) as trace:
        cross_entropy(model(images), tensor([0] * shape[0])).backward()
    return trace


def first_over_last(model: Module) -> float:
    """Return by how much the gradient of the first convolution exceeds that of the last.

    Parameters
    ----------
    model : Module
        Maps digits (N, 1, 8, 8) to logits.

    Returns
    -------
    float
        The ratio of the weight gradients' norms, on the first digits.
    """
    images, labels = digits().normalized().train.take(range(_IMAGES))
    dtype = next(model.parameters()).dtype
    model.zero_grad()
    cross_entropy(model(tensor(images, dtype)), tensor(labels)).backward()
    weights = [weight for weight in model.parameters() if weight.ndim == 4]
    first, last = (weights[index].grad for index in (0, -1))
    assert first is not None
    assert last is not None
    return norm(first) / norm(last)


def plain_56_gradients() -> list[float]:
    """Return the first layer's gradient over the last's in plain networks, for each seed."""
    return [
        round(first_over_last(cifar_plain(56, width=8, in_channels=1, seed=seed)), 2)
        for seed in SEEDS
    ]
