"""A training step of ResNet-20 in DeZero."""

from __future__ import annotations

import dezero
import dezero.functions as F  # noqa: N812
import numpy as np
from child import load, serve
from network import DECAY, EPS, LEARNING_RATE, MOMENTUM, features, parameters

images, labels, weights = load()
# The derivative of DeZero's loss makes one-hot rows of the labels' type. With wider integers all
# gradients would become float64, which is slower and not the task.
labels = labels.astype("int16")
params = {name: dezero.Parameter(array) for name, array in parameters(weights).items()}
params["fc.weight"].data = np.ascontiguousarray(weights["fc.weight"].T)  # (in, out) here


class Net(dezero.Layer):
    """The network's parameters, for the optimizer."""

    def __init__(self) -> None:
        super().__init__()
        for name, parameter in params.items():
            setattr(self, name, parameter)


net = Net()
optimizer = dezero.optimizers.MomentumSGD(lr=LEARNING_RATE, momentum=MOMENTUM).setup(net)


class Shortcut(dezero.Function):
    """Sample every second pixel and pad with zero channels; DeZero has no padding of its own."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Map (N, C, H, W) to (N, 2C, H/2, W/2)."""
        sampled = x[:, :, ::2, ::2]
        n, c, h, w = sampled.shape
        y = np.zeros((n, 2 * c, h, w), x.dtype)
        y[:, c // 2 : c // 2 + c] = sampled
        return y

    def backward(self, gy: dezero.Variable) -> dezero.Variable:
        """Return the gradient of the pixels that were sampled, and zeros between them."""
        (x,) = self.inputs
        c = x.shape[1]
        gx = np.zeros_like(x.data)
        gx[:, :, ::2, ::2] = gy.data[:, c // 2 : c // 2 + c]
        return dezero.Variable(gx)


def conv(name: str, x: dezero.Variable, stride: int) -> dezero.Variable:
    """Convolve 3x3."""
    return F.conv2d(x, params[f"{name}.weight"], stride=stride, pad=1)


def norm(name: str, x: dezero.Variable) -> dezero.Variable:
    """Normalize over the batch."""
    mean, var = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
    scale, shift = params[f"{name}.weight"], params[f"{name}.bias"]
    return F.batch_nrom(x, scale, shift, mean, var, decay=DECAY, eps=EPS)  # DeZero's spelling


def step() -> float:
    """Make a training step and return its loss."""
    net.cleargrads()
    x = features(dezero.Variable(images), conv, norm, F.relu, lambda x: Shortcut()(x))
    n, c, h, w = x.shape
    # One axis: the derivative of a sum over several raises in DeZero 0.0.13.
    pooled = F.sum(F.reshape(x, (n, c, h * w)), axis=2) * np.float32(1 / (h * w))
    loss = F.softmax_cross_entropy(F.linear(pooled, params["fc.weight"], params["fc.bias"]), labels)
    loss.backward()
    optimizer.update()
    return float(loss.data)


serve("dezero", step)
