"""The CIFAR networks of He et al. 2015 (arXiv 1512.03385, section 4.2), residual and plain.

Depth 6n + 2: a 3x3 convolution, three stages of n blocks with two 3x3 convolutions each (widths
w, 2w, 4w; the first block of the second and third stage halves the image), global average
pooling, and one linear layer.
"""

from __future__ import annotations

from minires import nn, ops
from minires.autograd import Tensor
from minires.devices import random
from minires.nn.blocks import SHORTCUTS, conv, stacked


class CifarResNet(nn.Module):
    """A residual network for small images, or with ``shortcut=None`` its plain twin.

    Parameters
    ----------
    depth : int
        6n + 2 weighted layers.
    shortcut : {"A", "B", "C", None}
        How a block's input reaches its addition; None is the plain network.
    width : int
        Channels of the first stage.
    in_channels, num_classes : int

    Raises
    ------
    ValueError
        If an argument is out of range.
    """

    def __init__(
        self, depth: int, shortcut: str | None, width: int, in_channels: int, num_classes: int
    ) -> None:
        super().__init__()
        if not is_possible_depth(depth):
            raise ValueError(
                f"depth {depth} is not possible: CIFAR networks have 6n + 2 layers, such as 8, 20,"
                " 32, 44, 56, 110"
            )
        if shortcut not in SHORTCUTS:
            raise ValueError(f"unknown shortcut {shortcut!r}; known: 'A', 'B', 'C' and None")
        if min(width, in_channels, num_classes) < 1:
            raise ValueError(
                f"width {width}, in_channels {in_channels} and num_classes {num_classes} must be"
                " at least 1"
            )
        self.depth = depth
        self.conv1 = conv(in_channels, width, 3)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        blocks = (depth - 2) // 6
        self.layer1 = _stage(width, width, blocks, 1, shortcut)
        self.layer2 = _stage(width, 2 * width, blocks, 2, shortcut)
        self.layer3 = _stage(2 * width, 4 * width, blocks, 2, shortcut)
        self.fc = nn.Linear(4 * width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, in_channels, H, W) to logits (N, num_classes)."""
        x = stacked([(self.conv1, self.bn1)], self.relu, x)
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(ops.mean(x, (2, 3)))  # type: ignore[no-any-return]


def is_possible_depth(depth: int) -> bool:
    """Tell whether a network can have so many layers: 6n + 2, with at least one block a stage."""
    return depth >= 8 and depth % 6 == 2


def _stage(
    in_channels: int, channels: int, blocks: int, stride: int, shortcut: str | None
) -> nn.Sequential:
    first = nn.BasicBlock(in_channels, channels, stride, shortcut)
    rest = [nn.BasicBlock(channels, channels, 1, shortcut) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


def cifar_resnet(
    depth: int = 20,
    shortcut: str | None = "A",
    width: int = 16,
    in_channels: int = 3,
    num_classes: int = 10,
    seed: int | None = None,
) -> CifarResNet:
    """Make a residual network for small images.

    With the same seed, networks that differ only in `shortcut` start from the same numbers in
    every parameter that they share.

    Parameters
    ----------
    depth : int
        6n + 2 weighted layers: 8, 20, 32, 44, 56, 110.
    shortcut : {"A", "B", "C", None}
        "A" pads with zero channels (no parameters), "B" projects where the shape changes, "C"
        projects always, None is the plain twin.
    width : int
        Channels of the first stage; 16 in the paper.
    in_channels, num_classes : int
    seed : int, optional
        Of the weights; by default the streams of `minires.manual_seed` are continued.

    Returns
    -------
    CifarResNet

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> import minires as mr
    >>> model = mr.models.cifar_resnet(20)
    >>> sum(p.data.size for p in model.parameters())
    269722
    >>> model(mr.zeros(2, 3, 32, 32)).shape
    (2, 10)
    """
    with random.seeded(seed):
        return CifarResNet(depth, shortcut, width, in_channels, num_classes)


def cifar_plain(
    depth: int = 20,
    width: int = 16,
    in_channels: int = 3,
    num_classes: int = 10,
    seed: int | None = None,
) -> CifarResNet:
    """Make the plain twin: the same layers and, with the same seed, weights; no shortcuts.

    See `cifar_resnet` for the parameters.
    """
    return cifar_resnet(depth, None, width, in_channels, num_classes, seed)
