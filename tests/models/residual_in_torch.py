"""The residual families in PyTorch, from their papers: functions of a network's named numbers.

Nothing here knows how minires states a network, except for names that torchvision does not have.
How many channels a layer has is what its weight says, so that widths need no argument.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
functional, relu, Tensor = torch.nn.functional, torch.relu, torch.Tensor

Adding = Callable[..., Tensor]  # (net, name of the block, x, branch, stride) -> their sum
Unit = Callable[..., Tensor]  # (net, name of the block, x, stride) -> what the block makes of x
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


class Numbers:
    """A network's numbers by name, and layers that use them.

    Where a network drops out, `kept` makes the factors of the values from their shape.
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        training: bool = True,
        kept: Callable[[tuple[int, ...]], np.ndarray] | None = None,
    ) -> None:
        self.of = {name: torch.tensor(array) for name, array in arrays.items()}
        self.learned = {name: t for name, t in self.of.items() if not name.endswith(BUFFERS)}
        for tensor in self.learned.values():
            tensor.requires_grad_()
        self.training = training
        self.kept = kept

    def __contains__(self, name: str) -> bool:
        return f"{name}.weight" in self.of

    def conv(self, name: str, x: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
        """Every convolution of these networks pads by half of its odd kernel."""
        weight, bias = self.of[f"{name}.weight"], self.of.get(f"{name}.bias")
        return functional.conv2d(x, weight, bias, stride, weight.shape[-1] // 2, groups=groups)

    def norm(self, name: str, x: Tensor) -> Tensor:
        """Batch normalisation with PyTorch's own momentum and eps."""
        values = [self.of[f"{name}.{key}"] for key in (*BUFFERS[:2], "weight", "bias")]
        return functional.batch_norm(x, *values, training=self.training, momentum=0.1, eps=1e-5)

    def linear(self, name: str, x: Tensor) -> Tensor:
        """Map features (N, in) to (N, out)."""
        return functional.linear(x, self.of[f"{name}.weight"], self.of[f"{name}.bias"])

    def dropout(self, x: Tensor) -> Tensor:
        """In training, multiply by the factors of `kept`."""
        if not self.training:
            return x
        return x * torch.tensor(self.kept(tuple(x.shape)), dtype=x.dtype)


# How a branch y meets the shortcut of x: He et al. 2015, section 4.1.


def plain(net: Numbers, at: str, x: Tensor, y: Tensor, stride: int) -> Tensor:
    """No shortcut."""
    return y


def sampled(x: Tensor, y: Tensor, stride: int, where: str = "both") -> Tensor:
    """x with y's shape and without parameters: strided, with channels of zeros."""
    extra = y.shape[1] - x.shape[1]
    front = extra // 2 if where == "both" else 0
    return functional.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, front, extra - front))


def option_a(
    net: Numbers, at: str, x: Tensor, y: Tensor, stride: int, where: str = "both"
) -> Tensor:
    """Sample and pad where the shape changes."""
    return sampled(x, y, stride, where) + y


def projected(net: Numbers, at: str, x: Tensor, stride: int) -> Tensor:
    """1x1 convolution and batch normalisation; in a pre-activation network, convolution only."""
    if f"{at}.downsample.1" in net:
        x = net.conv(f"{at}.downsample.0", x, stride)
        return net.norm(f"{at}.downsample.1", x)
    return net.conv(f"{at}.downsample", x, stride)


def option_b(net: Numbers, at: str, x: Tensor, y: Tensor, stride: int) -> Tensor:
    """Project where the shape changes."""
    same = stride == 1 and x.shape == y.shape
    return (x if same else projected(net, at, x, stride)) + y


def option_c(net: Numbers, at: str, x: Tensor, y: Tensor, stride: int) -> Tensor:
    """Project everywhere."""
    return projected(net, at, x, stride) + y


# Table 1 of He et al. 2016; where the shape changes, the shortcut is that of option A.


def constant_scaling(
    net: Numbers, at: str, x: Tensor, y: Tensor, stride: int, shortcut: float, branch: float
) -> Tensor:
    """Scale both sides by constants."""
    return shortcut * sampled(x, y, stride) + branch * y


def gate(net: Numbers, at: str, x: Tensor, stride: int) -> Tensor:
    """g(x) = sigmoid(W x + b) by a 1x1 convolution."""
    return torch.sigmoid(net.conv(f"{at}.downsample.gate", x, stride))


def exclusive_gating(net: Numbers, at: str, x: Tensor, y: Tensor, stride: int) -> Tensor:
    """(1 - g) for the shortcut, g for the branch."""
    g = gate(net, at, x, stride)
    return (1 - g) * sampled(x, y, stride) + g * y


def shortcut_only_gating(net: Numbers, at: str, x: Tensor, y: Tensor, stride: int) -> Tensor:
    """(1 - g) for the shortcut, the branch as it is."""
    return (1 - gate(net, at, x, stride)) * sampled(x, y, stride) + y


def dropout_shortcut(net: Numbers, at: str, x: Tensor, y: Tensor, stride: int) -> Tensor:
    """Dropout on the shortcut."""
    return net.dropout(sampled(x, y, stride)) + y


def with_stochastic_depth(net: Numbers, at: str, x: Tensor, y: Tensor, stride: int) -> Tensor:
    """Leave out whole branches, image by image, and scale the others up for it."""
    if net.training:
        y = y * torch.tensor(net.kept((len(y), 1, 1, 1)), dtype=y.dtype)
    return option_a(net, at, x, y, stride)


def excited(
    net: Numbers, at: str, x: Tensor, y: Tensor, stride: int, add: Adding = option_b
) -> Tensor:
    """Squeeze and excitation (Hu et al. 2018, figure 3): scale the branch's channels, then add."""
    z = y.mean((2, 3), keepdim=True)
    s = torch.sigmoid(net.conv(f"{at}.se.fc2", relu(net.conv(f"{at}.se.fc1", z))))
    return add(net, at, x, s * y, stride)


# Units with their activation behind the addition: He et al. 2015, figure 5.


def basic(net: Numbers, at: str, x: Tensor, stride: int, add: Adding) -> Tensor:
    """Two 3x3 convolutions; figure 4 (a) of the second paper."""
    y = relu(net.norm(f"{at}.bn1", net.conv(f"{at}.conv1", x, stride)))
    y = net.norm(f"{at}.bn2", net.conv(f"{at}.conv2", y))
    return relu(add(net, at, x, y, stride))


def bottleneck(
    net: Numbers,
    at: str,
    x: Tensor,
    stride: int,
    add: Adding = option_b,
    version: float = 1.5,
    groups: int = 1,
) -> Tensor:
    """1x1, 3x3, 1x1; the paper ("v1") strides in the first, torchvision ("v1.5") in the second.

    With groups, ResNeXt (Xie et al. 2017, figure 3 (c)).
    """
    first, second = (stride, 1) if version == 1 else (1, stride)
    y = relu(net.norm(f"{at}.bn1", net.conv(f"{at}.conv1", x, first)))
    y = relu(net.norm(f"{at}.bn2", net.conv(f"{at}.conv2", y, second, groups)))
    y = net.norm(f"{at}.bn3", net.conv(f"{at}.conv3", y))
    return relu(add(net, at, x, y, stride))


# The other activation orders: He et al. 2016, figure 4 (b) to (e).


def bn_after_addition(net: Numbers, at: str, x: Tensor, stride: int, add: Adding) -> Tensor:
    """Figure 4 (b)."""
    y = relu(net.norm(f"{at}.bn1", net.conv(f"{at}.conv1", x, stride)))
    y = net.conv(f"{at}.conv2", y)
    return relu(net.norm(f"{at}.bn2", add(net, at, x, y, stride)))


def relu_before_addition(net: Numbers, at: str, x: Tensor, stride: int, add: Adding) -> Tensor:
    """Figure 4 (c)."""
    y = relu(net.norm(f"{at}.bn1", net.conv(f"{at}.conv1", x, stride)))
    y = relu(net.norm(f"{at}.bn2", net.conv(f"{at}.conv2", y)))
    return add(net, at, x, y, stride)


def before_the_fork(net: Numbers, at: str, x: Tensor, active: Tensor, y: Tensor) -> Tensor:
    """What goes into a pre-activation unit's shortcut: x, or what its activation makes of it.

    The activation stands before the fork in the network's first unit (the paper's appendix), and
    where the shortcut does not carry its input unchanged.
    """
    changes = x.shape != y.shape or f"{at}.downsample" in net
    return active if changes or at == "layer1.0" else x


def relu_only_preactivation(net: Numbers, at: str, x: Tensor, stride: int, add: Adding) -> Tensor:
    """Figure 4 (d)."""
    active = relu(x)
    y = relu(net.norm(f"{at}.bn1", net.conv(f"{at}.conv1", active, stride)))
    y = net.norm(f"{at}.bn2", net.conv(f"{at}.conv2", y))
    return add(net, at, before_the_fork(net, at, x, active, y), y, stride)


def full_preactivation(
    net: Numbers, at: str, x: Tensor, stride: int, add: Adding, dropout: bool = False
) -> Tensor:
    """Figure 4 (e). Wide ResNets (Zagoruyko and Komodakis 2016, figure 1 (d)) may drop out."""
    active = relu(net.norm(f"{at}.bn1", x))
    y = net.conv(f"{at}.conv1", active, stride)
    y = relu(net.norm(f"{at}.bn2", y))
    y = net.conv(f"{at}.conv2", net.dropout(y) if dropout else y)
    return add(net, at, before_the_fork(net, at, x, active, y), y, stride)


def preactivation_bottleneck(net: Numbers, at: str, x: Tensor, stride: int, add: Adding) -> Tensor:
    """Figure 4 (e) with three convolutions; the authors stride in the first."""
    active = relu(net.norm(f"{at}.bn1", x))
    y = relu(net.norm(f"{at}.bn2", net.conv(f"{at}.conv1", active, stride)))
    y = relu(net.norm(f"{at}.bn3", net.conv(f"{at}.conv2", y)))
    y = net.conv(f"{at}.conv3", y)
    return add(net, at, before_the_fork(net, at, x, active, y), y, stride)


# Units without batch normalisation.


def fixup(net: Numbers, at: str, x: Tensor, stride: int, add: Adding) -> Tensor:
    """Zhang et al. 2019, figure 1: a bias before each convolution and ReLU, and one multiplier."""
    of = net.of
    y = net.conv(f"{at}.conv1", x + of[f"{at}.shift1.bias"], stride)
    y = relu(y + of[f"{at}.bn1.bias"])
    y = net.conv(f"{at}.conv2", y + of[f"{at}.shift2.bias"])
    y = y * of[f"{at}.bn2.weight"] + of[f"{at}.bn2.bias"]
    return relu(add(net, at, x, y, stride))


def skipinit(net: Numbers, at: str, x: Tensor, stride: int, add: Adding) -> Tensor:
    """De and Smith 2020, section 3: a branch without norms, times one scalar."""
    y = net.conv(f"{at}.conv2", relu(net.conv(f"{at}.conv1", x, stride)))
    return relu(add(net, at, x, net.of[f"{at}.bn1.weight"] * y, stride))


# Whole networks: images (N, channels, H, W) to logits (N, classes).


def body(net: Numbers, x: Tensor, blocks: Sequence[int], unit: Unit) -> Tensor:
    """Stages; all but the first halve the image in their first unit."""
    for stage, count in enumerate(blocks, 1):
        for index in range(count):
            halves = stage > 1 and index == 0
            x = unit(net, f"layer{stage}.{index}", x, 2 if halves else 1)
    return x


def cifar(net: Numbers, x: Tensor, blocks: int, unit: Unit) -> Tensor:
    """He et al. 2015, section 4.2: three stages of as many blocks."""
    x = relu(net.norm("bn1", net.conv("conv1", x)))
    x = body(net, x, [blocks] * 3, unit)
    return net.linear("fc", x.mean((2, 3)))


def cifar_preactivated(net: Numbers, x: Tensor, blocks: int, unit: Unit) -> Tensor:
    """He et al. 2016: what stands before every branch ends the body once more."""
    x = net.conv("conv1", x)
    if "bn1" in net:
        x = net.norm("bn1", x)
    x = body(net, x, [blocks] * 3, unit)
    if "bn2" in net:
        x = net.norm("bn2", x)
    return net.linear("fc", relu(x).mean((2, 3)))


def cifar_fixup(net: Numbers, x: Tensor, blocks: int, unit: Unit) -> Tensor:
    """Zhang et al. 2019: a bias before every ReLU and before the linear layer."""
    x = relu(net.conv("conv1", x) + net.of["bn1.bias"])
    x = body(net, x, [blocks] * 3, unit)
    return net.linear("fc", x.mean((2, 3)) + net.of["bn2.bias"])


def cifar_skipinit(net: Numbers, x: Tensor, blocks: int, unit: Unit) -> Tensor:
    """De and Smith 2020: no norms, and nothing instead outside of blocks."""
    x = body(net, relu(net.conv("conv1", x)), [blocks] * 3, unit)
    return net.linear("fc", x.mean((2, 3)))


# Table 1 of He et al. 2015.
STAGES = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}


def imagenet(net: Numbers, x: Tensor, blocks: Sequence[int], unit: Unit) -> Tensor:
    """Table 1 of He et al. 2015."""
    x = relu(net.norm("bn1", net.conv("conv1", x, stride=2)))
    x = functional.max_pool2d(x, 3, stride=2, padding=1)
    x = body(net, x, blocks, unit)
    return net.linear("fc", x.mean((2, 3)))


def resnet(depth: int, add: Adding = option_b, **options: object) -> Callable[..., Tensor]:
    """ResNet-18 to 152; options are the bottleneck's."""
    unit = basic if depth < 50 else bottleneck
    return partial(imagenet, blocks=STAGES[depth], unit=partial(unit, add=add, **options))
