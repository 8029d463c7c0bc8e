"""Residual networks for large images, and all that keeps their shape.

He et al. 2015 (arXiv 1512.03385, table 1): a 7x7 convolution and a max-pool quarter the image; four
stages follow; then global average pooling and one linear layer. ResNeXt (Xie et al. 2017,
1611.05431), Wide ResNet (1605.07146) and SE-ResNet (Hu et al. 2018, 1709.01507) differ within
their blocks alone.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from minires import nn, ops
from minires.autograd import Tensor
from minires.nn import sequential
from minires.nn.block_init import fixup_, zero_last_scale_
from minires.nn.blocks import conv
from minires.nn.shortcuts import Shortcut

from .parts import check_sizes
from .registry import register
from .stages import Block, ends, stages

# Table 1: blocks of the four stages.
BLOCKS: dict[int, tuple[Block, tuple[int, ...]]] = {
    18: (nn.BasicBlock, (2, 2, 2, 2)),
    34: (nn.BasicBlock, (3, 4, 6, 3)),
    50: (nn.Bottleneck, (3, 4, 6, 3)),
    101: (nn.Bottleneck, (3, 4, 23, 3)),
    152: (nn.Bottleneck, (3, 8, 36, 3)),
}


class ResNet(nn.Module):
    """A residual network for large images, or with ``shortcut=None`` its plain twin.

    Parameters
    ----------
    depth : {18, 34, 50, 101, 152}
    shortcut : key of `nn.SHORTCUTS`, callable, or None
    width : int
        Channels of the first convolution.
    in_channels, num_classes : int
    zero_init_residual : bool
        Start each branch at 0, by the BatchNorm at its end, so that a block starts as its shortcut.
    order, norm : str
        As for `nn.ResidualBlock`. What an order has before every branch, the network has before
        the classifier instead of behind the first convolution.
    **options
        As for `nn.ResidualBlock` and, from depth 50 on, `nn.Bottleneck`.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> import minires as mr
    >>> mr.models.ResNet(18, width=8, num_classes=10)(mr.zeros(1, 3, 64, 64)).shape
    (1, 10)
    """

    def __init__(
        self,
        depth: int,
        shortcut: Shortcut = "B",
        width: int = 64,
        in_channels: int = 3,
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        order: str = "original",
        norm: str = "batch",
        **options: Any,
    ) -> None:
        super().__init__()
        if depth not in BLOCKS:
            raise ValueError(f"there is no ResNet of depth {depth}; there are {list(BLOCKS)}")
        check_sizes(width=width, in_channels=in_channels, num_classes=num_classes)
        block, blocks = BLOCKS[depth]
        channels = [width, 2 * width, 4 * width, 8 * width]
        convolution = partial(conv, mode="fan_out")
        options = {"conv": convolution, **options}
        options |= {"shortcut": shortcut, "order": order, "norm": norm}
        out = channels[-1] * block.expansion
        self.conv1 = convolution(in_channels, width, 7, 2)
        self.bn1, last, self.active_last = ends(order, norm, width, out)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages(
            block, width, channels, blocks, **options
        )
        self.bn2 = last
        self.fc = nn.Linear(out, num_classes)
        if norm == "fixup":
            fixup_(self)
        if zero_init_residual:
            zero_last_scale_(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, in_channels, H, W) to logits (N, num_classes)."""
        stem, top = [self.conv1, self.bn1], [self.bn2]
        (top if self.active_last else stem).append(self.relu)
        x = self.maxpool(sequential.run(stem, x))
        x = sequential.run(top, self.layer4(self.layer3(self.layer2(self.layer1(x)))))
        return self.fc(ops.mean(x, (2, 3)))  # type: ignore[no-any-return]


for _depth in BLOCKS:
    register(f"resnet{_depth}", ResNet, depth=_depth)
    register(f"se_resnet{_depth}", ResNet, depth=_depth, reduction=16)
for _depth in (18, 34):
    register(f"plain{_depth}", ResNet, depth=_depth, shortcut=None)
    register(f"resnet{_depth}_a", ResNet, depth=_depth, shortcut="A")
    register(f"resnet{_depth}_c", ResNet, depth=_depth, shortcut="C")

# The stride in the first 1x1 convolution, as in the paper, instead of the 3x3.
for _depth in (50, 101, 152):
    register(f"resnet{_depth}_v1", ResNet, depth=_depth, strided=1)
    register(f"se_resnet{_depth}_v1", ResNet, depth=_depth, strided=1, reduction=16)

# Cardinality x width of a group.
for _depth, _groups, _width in ((50, 32, 4), (101, 32, 4), (101, 32, 8), (101, 64, 4)):
    _resnext = partial(ResNet, depth=_depth, groups=_groups, base_width=_width)
    register(f"resnext{_depth}_{_groups}x{_width}d", _resnext)
    if (_groups, _width) == (32, 4):
        register(f"se_resnext{_depth}_{_groups}x{_width}d", _resnext, reduction=16)

# Twice the channels within the bottleneck.
for _depth in (50, 101):
    register(f"wide_resnet{_depth}_2", ResNet, depth=_depth, base_width=128)
