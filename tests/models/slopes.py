"""A network's gradient along random directions of all its parameters, shared by the tests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import minires as mr


def slopes(
    model: mr.nn.Module, loss: Callable[[], mr.Tensor], directions: int = 3, step: float = 1e-6
) -> tuple[list[float], list[float]]:
    """The loss's slopes by backward, and by central differences."""
    parameters = list(model.parameters())
    start = [parameter.numpy().copy() for parameter in parameters]
    rng = np.random.default_rng(0)

    def moved(along: list[np.ndarray], by: float) -> float:
        for parameter, value, part in zip(parameters, start, along, strict=True):
            parameter.copy_(value + by * part)
        with mr.no_grad():
            return loss().item()

    loss().backward()
    gradients = [parameter.grad.numpy() for parameter in parameters]
    told, measured = [], []
    for _ in range(directions):
        along = [rng.standard_normal(value.shape) for value in start]
        told.append(sum((g * u).sum() for g, u in zip(gradients, along, strict=True)))
        measured.append((moved(along, step) - moved(along, -step)) / (2 * step))
    return told, measured
