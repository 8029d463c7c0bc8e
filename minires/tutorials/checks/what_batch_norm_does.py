"""Checks of tutorial 13, on what batch normalisation does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minires import ops

from ..exercise import Wrong, check


@check
def after(answer: Callable[..., Any]) -> str:
    """Mean and standard deviation behind a batch norm."""
    rng = np.random.default_rng(0)
    for mean, std, gamma, beta in [
        (3.0, 2.0, 1.0, 0.0),
        (-1.0, 5.0, 0.5, 2.0),
        (0.0, 1.0, -2.0, -1.0),
    ]:
        x = ops.tensor(rng.standard_normal((64, 1, 8, 8)) * std + mean)
        weight, bias = ops.tensor(np.array([gamma])), ops.tensor(np.array([beta]))
        y = ops.batch_norm(x, None, None, weight, bias, True, eps=1e-12).numpy()
        found = np.atleast_1d(answer(mean, std, gamma, beta))
        if found.shape != (2,):
            raise Wrong(f"It returns two numbers, mean and deviation; found {found.size}.")
        if not np.allclose(found, (y.mean(), y.std()), atol=1e-6):
            raise Wrong(
                f"With γ = {gamma:g} and β = {beta:g} mean and deviation are {y.mean():.3f} and"
                f" {y.std():.3f}, whatever they were before; found {found[0]:.3f} and"
                f" {found[1]:.3f}."
            )
    return "Compared with three batch norms, one of them with a negative γ."


@check
def fold(answer: Callable[..., Any]) -> str:
    """A batch norm put into the convolution before it."""
    rng = np.random.default_rng(0)
    for outputs, channels, kernel in [(2, 3, 3), (4, 1, 1)]:
        weight = rng.standard_normal((outputs, channels, kernel, kernel))
        gamma, beta, mean = (rng.standard_normal(outputs) for _ in range(3))
        var = rng.uniform(0.5, 4.0, outputs)
        x = ops.tensor(rng.standard_normal((2, channels, 6, 6)))
        m, v, scale, shift = (ops.tensor(each) for each in (mean, var, gamma, beta))
        y = ops.conv2d(x, ops.tensor(weight))
        expected = ops.batch_norm(y, m, v, scale, shift).numpy()
        folded, bias = answer(weight.copy(), gamma, beta, mean, var)
        found = ops.conv2d(x, ops.tensor(np.asarray(folded)), ops.tensor(np.asarray(bias))).numpy()
        if not np.allclose(found, expected):
            constant = np.ptp(found - expected, axis=(0, 2, 3)).max() < 1e-9
            why = (
                "It is off by the same number everywhere: look at the bias, γ and the mean."
                if constant
                else "y = γ (conv(x) - mean) / sqrt(var + ε) + β: what multiplies the weight?"
            )
            raise Wrong(f"For weights of shape {weight.shape} the result differs. {why}")
    return "The same as convolution and batch norm, for two shapes."
