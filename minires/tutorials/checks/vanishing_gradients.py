"""Checks of tutorial 7, on vanishing and exploding gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minires import ops

from ..exercise import Wrong, check


@check
def he_std(answer: Callable[..., Any]) -> str:
    """Weights before a ReLU that keep the mean square of what goes through."""
    rng = np.random.default_rng(0)
    shapes = [(64, 128, 1, 1), (128, 32, 1, 1), (64, 32, 3, 3), (16, 48, 3, 3), (32, 16, 5, 5)]
    for shape in shapes:
        x = rng.standard_normal((4, shape[1], 12, 12))
        if (std := float(answer(shape))) <= 0:
            raise Wrong(f"A standard deviation is positive; found {std:.3g} for weights {shape}.")
        weight = ops.tensor(rng.standard_normal(shape) * std)
        y = ops.relu(ops.conv2d(ops.tensor(x), weight)).numpy()
        ratio = float((y**2).mean() / (x**2).mean())
        if not 0.75 < ratio < 1.33:
            raise Wrong(
                f"A layer with weights {shape} and its ReLU change the mean square by a factor of"
                f" {ratio:.2g}. One output sums I·KH·KW products, and ReLU halves their mean"
                " square."
            )
    return f"The mean square stays, for weights of {len(shapes)} shapes."


@check
def clip(answer: Callable[..., Any]) -> str:
    """Gradients shortened together, so that the norm of all is at most a limit."""
    cases = [([[3.0, 0.0], [0.0, 4.0]], 1.0), ([[0.3], [0.4]], 1.0), ([[0.0, 0.0]], 1.0)]
    cases.append(([[30.0, 0.1], [0.0, 40.0, -0.2]], 5.0))
    for values, limit in cases:
        gradients = [np.array(each) for each in values]
        norm = float(np.sqrt(sum((g**2).sum() for g in gradients)))
        factor = min(1.0, limit / norm) if norm else 1.0
        found = list(answer([g.copy() for g in gradients], limit))
        if len(found) != len(gradients):
            raise Wrong(f"For {len(gradients)} gradients it returns {len(found)}.")
        for own, g in zip(found, gradients, strict=True):
            if not np.allclose(own, g * factor):
                raise Wrong(
                    f"The norm of all of {values} is {norm:.3g} and the limit {limit:g}, so each is"
                    f" multiplied by {factor:.3g}, which keeps the direction; found"
                    f" {[np.asarray(each).tolist() for each in found]}."
                )
    return f"{len(cases)} lists of gradients, longer and shorter ones."
