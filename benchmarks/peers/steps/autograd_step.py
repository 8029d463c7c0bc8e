"""A training step of ResNet-20 in HIPS autograd, which has arrays and derivatives but no layers.

The convolution gathers its nine shifted inputs by slices, the usual way where only NumPy's own
functions can be differentiated. BatchNorm's running statistics are left out, in its favour.
"""

from __future__ import annotations

from typing import Any

import autograd.numpy as np
from autograd import value_and_grad
from child import load, serve
from network import EPS, LEARNING_RATE, MOMENTUM, features, parameters

images, labels, weights = load()
params = parameters(weights)
velocity = {name: np.zeros_like(array) for name, array in params.items()}
rows = np.arange(len(labels))


def relu(x: Any) -> Any:
    """Cut negative values off."""
    return np.maximum(x, 0)


def shortcut(x: Any) -> Any:
    """Sample and pad with zero channels."""
    half = x.shape[1] // 2
    return np.pad(x[:, :, ::2, ::2], ((0, 0), (half, half), (0, 0), (0, 0)), "constant")


def mean_loss(params: dict[str, Any]) -> Any:
    """Return the mean cross-entropy of the batch."""

    def conv(name: str, x: Any, stride: int) -> Any:
        weight = params[f"{name}.weight"]
        height, width = x.shape[2], x.shape[3]
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), "constant")
        columns = np.stack(
            [
                padded[:, :, i : i + height : stride, j : j + width : stride]
                for i in range(3)
                for j in range(3)
            ],
            axis=2,
        )  # (N, C, 9, H, W)
        n, c, _, h, w = columns.shape
        out = np.matmul(weight.reshape(-1, 9 * c), columns.reshape(n, 9 * c, h * w))
        return out.reshape(n, -1, h, w)

    def norm(name: str, x: Any) -> Any:
        mean = np.mean(x, axis=(0, 2, 3), keepdims=True)
        centred = x - mean
        var = np.mean(centred * centred, axis=(0, 2, 3), keepdims=True)
        scale = params[f"{name}.weight"].reshape(1, -1, 1, 1) / np.sqrt(var + EPS)
        return centred * scale + params[f"{name}.bias"].reshape(1, -1, 1, 1)

    pooled = np.mean(features(images, conv, norm, relu, shortcut), axis=(2, 3))
    logits = np.dot(pooled, params["fc.weight"].T) + params["fc.bias"]
    shifted = logits - np.max(logits, axis=1, keepdims=True)
    log_normalizer = np.log(np.sum(np.exp(shifted), axis=1))
    return np.mean(log_normalizer - shifted[rows, labels])


loss_and_gradient = value_and_grad(mean_loss)


def step() -> float:
    """Make a training step and return its loss."""
    loss, gradient = loss_and_gradient(params)
    for name, array in params.items():
        velocity[name] *= MOMENTUM
        velocity[name] += gradient[name]
        array -= LEARNING_RATE * velocity[name]
    return float(loss)


serve("autograd", step)
