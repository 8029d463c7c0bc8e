"""A training step of ResNet-20 in Chainer."""

from __future__ import annotations

import chainer
import chainer.functions as F  # noqa: N812
from child import load, serve
from network import DECAY, EPS, LEARNING_RATE, MOMENTUM, features, parameters

images, labels, weights = load()
labels = labels.astype("int32")  # the only labels that Chainer takes


class Net(chainer.Chain):
    """The network's parameters; `setattr`, because Chainer's names may not hold dots."""

    def __init__(self) -> None:
        super().__init__()
        with self.init_scope():
            for name, array in parameters(weights).items():
                setattr(self, name.replace(".", "_"), chainer.Parameter(array))

    def __getitem__(self, name: str) -> chainer.Parameter:
        return getattr(self, name.replace(".", "_"))


net = Net()
optimizer = chainer.optimizers.MomentumSGD(lr=LEARNING_RATE, momentum=MOMENTUM).setup(net)


def conv(name: str, x: chainer.Variable, stride: int) -> chainer.Variable:
    """Convolve 3x3."""
    return F.convolution_2d(x, net[f"{name}.weight"], stride=stride, pad=1)


def norm(name: str, x: chainer.Variable) -> chainer.Variable:
    """Normalize over the batch."""
    return F.batch_normalization(
        x,
        net[f"{name}.weight"],
        net[f"{name}.bias"],
        eps=EPS,
        running_mean=weights[f"{name}.running_mean"],
        running_var=weights[f"{name}.running_var"],
        decay=DECAY,
    )


def shortcut(x: chainer.Variable) -> chainer.Variable:
    """Sample and pad with zero channels.

    By pooling and concatenation: the derivative of slicing is `numpy.add.at`, which is slower.
    """
    sampled = F.average_pooling_2d(x, 1, 2)
    n, c, h, w = sampled.shape
    zeros = sampled.xp.zeros((n, c // 2, h, w), "float32")
    return F.concat((zeros, sampled, zeros), axis=1)


def step() -> float:
    """Make a training step and return its loss."""
    net.cleargrads()
    pooled = F.mean(features(images, conv, norm, F.relu, shortcut), axis=(2, 3))
    logits = F.linear(pooled, net["fc.weight"], net["fc.bias"])
    loss = F.softmax_cross_entropy(logits, labels)
    loss.backward()
    optimizer.update()
    return float(loss.array)


serve("chainer", step)
