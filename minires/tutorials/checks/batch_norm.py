"""Checks of tutorial 5, on batch normalisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minires import ops
from minires.nn import BatchNorm2d

from ..exercise import Wrong, check


@check
def backward(answer: Callable[..., Any]) -> str:
    """The gradients of a batch norm's input, weight and bias, in training."""
    rng = np.random.default_rng(0)
    for shape in [(3, 2, 2, 2), (4, 3, 3, 2)]:
        channels = shape[1]
        values = [rng.standard_normal(shape) * 2 + 1]
        values += [rng.standard_normal(channels), rng.standard_normal(channels)]
        x, gamma, beta = (ops.tensor(each, requires_grad=True) for each in values)
        g = rng.standard_normal(shape)
        ops.batch_norm(x, None, None, gamma, beta, training=True).backward(ops.tensor(g))
        found = answer(g.copy(), *(each.copy() for each in values))
        for name, tensor, gradient in zip(
            ("x", "gamma", "beta"), (x, gamma, beta), found, strict=True
        ):
            assert tensor.grad is not None
            expected, gradient = tensor.grad.numpy(), np.asarray(gradient)
            if gradient.shape != expected.shape:
                raise Wrong(
                    f"The gradient of {name} has shape {gradient.shape}, and {name}"
                    f" {expected.shape}."
                )
            if not np.allclose(gradient, expected, atol=1e-7):
                raise Wrong(f"The gradient of {name} is off. {_hint(name, gradient, values[0])}")
    return "All three gradients, with a random incoming one, for two shapes."


def _hint(name: str, gradient: Any, x: Any) -> str:
    """Say which fact a wrong gradient violates."""
    axes = (0, 2, 3)
    if name == "beta":
        return "beta is added everywhere: what was repeated is summed."
    if name == "gamma":
        return "y = gamma * x_hat + beta: gamma's gradient is the sum of g * x_hat, not of g * x."
    scale = np.abs(gradient).sum()
    if np.abs(gradient.sum(axis=axes)).max() > 1e-6 * scale:
        return "It should sum to zero over each channel: is the road by the mean there?"
    centred = x - x.mean(axis=axes, keepdims=True)
    if np.abs((gradient * centred).sum(axis=axes)).max() > 1e-3 * scale:
        return "It should be perpendicular to x - mean: is the road by the variance there?"
    return "All roads seem to be there. Did g go through gamma first?"


@check
def update(answer: Callable[..., Any]) -> str:
    """The running statistics after one more batch."""
    rng = np.random.default_rng(0)
    for shape, momentum in [((2, 3, 2, 2), 0.1), ((5, 2, 1, 1), 0.3)]:
        module = BatchNorm2d(shape[1], momentum=momentum)
        x = rng.standard_normal(shape) * 3 + 1
        assert module.running_mean is not None
        assert module.running_var is not None
        module(ops.tensor(rng.standard_normal(shape).astype(np.float32)))  # no longer 0 and 1
        before = module.running_mean.numpy().copy(), module.running_var.numpy().copy()
        module(ops.tensor(x.astype(np.float32)))
        after = module.running_mean.numpy(), module.running_var.numpy()
        found = answer(*before, x, momentum)
        for name, own, expected in zip(("mean", "variance"), found, after, strict=True):
            if not np.allclose(own, expected, rtol=1e-4):
                wrong = np.asarray(own).ravel()[0], expected[0]
                raise Wrong(
                    f"With momentum {momentum} the running {name} of channel 0 becomes"
                    f" {wrong[1]:.4f}, found {wrong[0]:.4f}. momentum is the share of the *new*"
                    " batch;"
                    " the variance that is kept is divided by M - 1."
                )
    return "Compared with minires' running statistics, for two momenta."
