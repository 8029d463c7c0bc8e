"""Inception-v3: Szegedy et al. 2015 (*Rethinking the Inception Architecture*, arXiv 1512.00567).

Large convolutions are taken apart: 5x5 into two of 3x3, 7x7 into 1x7 and 7x1. Each block stands
here as a table of its branches, and the network as a table of its blocks, by torchvision's names,
which are TensorFlow's. Images have 299 pixels. In training an auxiliary head reads ``Mixed_6e``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from minires import nn, ops
from minires.autograd import Tensor
from minires.nn import sequential

from .parts import BasicConv2d, Scaling, check_sizes, draw_weights, rescaled, scaling
from .registry import register


class Conv(NamedTuple):
    """A convolution with batch normalisation and ReLU; with stride 1 it keeps the size."""

    channels: int
    kernel_size: int | tuple[int, int]
    stride: int = 1
    keeps_size: bool = True
    beside: bool = False  # takes what the one before took, and stands side by side with it


Pool = Callable[[], nn.Module]
Block = tuple[dict[str, Conv | Pool], ...]  # its branches

AVERAGE: Pool = partial(nn.AvgPool2d, 3, 1, 1)
LARGEST: Pool = partial(nn.MaxPool2d, 3, 2)


def figure5(pool: int) -> Block:
    """Grid 35 x 35: a 5x5 beside one that is made of two 3x3."""
    return (
        {"branch1x1": Conv(64, 1)},
        {"branch5x5_1": Conv(48, 1), "branch5x5_2": Conv(64, 5)},
        {
            "branch3x3dbl_1": Conv(64, 1),
            "branch3x3dbl_2": Conv(96, 3),
            "branch3x3dbl_3": Conv(96, 3),
        },
        {"pool": AVERAGE, "branch_pool": Conv(pool, 1)},
    )


def figure6(c: int) -> Block:
    """Grid 17 x 17: a 7x7 made of 1x7 and 7x1, once and twice."""
    return (
        {"branch1x1": Conv(192, 1)},
        {
            "branch7x7_1": Conv(c, 1),
            "branch7x7_2": Conv(c, (1, 7)),
            "branch7x7_3": Conv(192, (7, 1)),
        },
        {
            "branch7x7dbl_1": Conv(c, 1),
            "branch7x7dbl_2": Conv(c, (7, 1)),
            "branch7x7dbl_3": Conv(c, (1, 7)),
            "branch7x7dbl_4": Conv(c, (7, 1)),
            "branch7x7dbl_5": Conv(192, (1, 7)),
        },
        {"pool": AVERAGE, "branch_pool": Conv(192, 1)},
    )


# Grid 8 x 8: a 3x3 made of 1x3 and 3x1 side by side, for many channels.
FIGURE_7: Block = (
    {"branch1x1": Conv(320, 1)},
    {
        "branch3x3_1": Conv(384, 1),
        "branch3x3_2a": Conv(384, (1, 3)),
        "branch3x3_2b": Conv(384, (3, 1), beside=True),
    },
    {
        "branch3x3dbl_1": Conv(448, 1),
        "branch3x3dbl_2": Conv(384, 3),
        "branch3x3dbl_3a": Conv(384, (1, 3)),
        "branch3x3dbl_3b": Conv(384, (3, 1), beside=True),
    },
    {"pool": AVERAGE, "branch_pool": Conv(192, 1)},
)

# Figure 10: to half the grid by a pool beside convolutions, so that no layer is a bottleneck.
FIGURE_10_TO_17: Block = (
    {"branch3x3": Conv(384, 3, stride=2)},
    {
        "branch3x3dbl_1": Conv(64, 1),
        "branch3x3dbl_2": Conv(96, 3),
        "branch3x3dbl_3": Conv(96, 3, stride=2),
    },
    {"pool": LARGEST},
)
FIGURE_10_TO_8: Block = (
    {"branch3x3_1": Conv(192, 1), "branch3x3_2": Conv(320, 3, stride=2)},
    {
        "branch7x7x3_1": Conv(192, 1),
        "branch7x7x3_2": Conv(192, (1, 7)),
        "branch7x7x3_3": Conv(192, (7, 1)),
        "branch7x7x3_4": Conv(192, 3, stride=2),
    },
    {"pool": LARGEST},
)

# Table 1, as its authors published the network, which differs a little from the table.
NETWORK: dict[str, Conv | Pool | Block] = {
    # 299 x 299
    "Conv2d_1a_3x3": Conv(32, 3, stride=2),
    "Conv2d_2a_3x3": Conv(32, 3, keeps_size=False),
    "Conv2d_2b_3x3": Conv(64, 3),
    "maxpool1": LARGEST,
    # 73 x 73
    "Conv2d_3b_1x1": Conv(80, 1),
    "Conv2d_4a_3x3": Conv(192, 3, keeps_size=False),
    "maxpool2": LARGEST,
    # 35 x 35
    "Mixed_5b": figure5(pool=32),
    "Mixed_5c": figure5(pool=64),
    "Mixed_5d": figure5(pool=64),
    "Mixed_6a": FIGURE_10_TO_17,
    # 17 x 17
    "Mixed_6b": figure6(128),
    "Mixed_6c": figure6(160),
    "Mixed_6d": figure6(160),
    "Mixed_6e": figure6(192),
    "Mixed_7a": FIGURE_10_TO_8,
    # 8 x 8
    "Mixed_7b": FIGURE_7,
    "Mixed_7c": FIGURE_7,
}
READ_BY_HEAD = "Mixed_6e"


class InceptionOutputs(NamedTuple):
    """What Inception-v3 with its head returns in training: two times logits (N, num_classes)."""

    logits: Tensor
    aux_logits: Tensor


class Inception3(nn.Module):
    """Inception-v3: the layers of `NETWORK`, and one linear layer.

    Parameters
    ----------
    aux_logits : bool
        Have the auxiliary head.
    num_classes, in_channels : int
    width : int
        Channels of the first convolution; the others scale with it.
    dropout : float
        Before the last layer.
    transform_input : bool
        Images are normalised with ImageNet's mean and deviation, the weights expect 0.5 and 0.5:
        so it is with torchvision's published ones.

    Raises
    ------
    ValueError
        If a size is out of range.

    Examples
    --------
    >>> import minires as mr
    >>> mr.models.Inception3(width=4, num_classes=10).eval()(mr.zeros(1, 3, 75, 75)).shape
    (1, 10)
    """

    def __init__(
        self,
        aux_logits: bool = True,
        num_classes: int = 1000,
        in_channels: int = 3,
        width: int = 32,
        dropout: float = 0.5,
        transform_input: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(num_classes=num_classes, in_channels=in_channels)
        self.transform_input = transform_input
        scaled = scaling(width, 32)
        self.AuxLogits = None
        channels = in_channels
        for name, row in NETWORK.items():
            module, channels = _made(row, channels, scaled)
            self.add_module(name, module)
            if name == READ_BY_HEAD and aux_logits:
                self.AuxLogits = Head(channels, num_classes, scaled)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)
        normal = partial(nn.init.trunc_normal_, std=0.1)
        draw_weights(self, normal, normal)
        if self.AuxLogits is not None:
            # As TensorFlow's head; torchvision notes the first of these where nobody reads it.
            nn.init.trunc_normal_(self.AuxLogits.conv1.conv.weight, std=0.01)
            nn.init.trunc_normal_(self.AuxLogits.fc.weight, std=0.001)

    def forward(self, x: Tensor) -> Tensor | InceptionOutputs:
        """Map images (N, in_channels, H, W), from 75 pixels on, to logits (N, num_classes).

        In training, if it has the head, to `InceptionOutputs`.
        """
        if self.transform_input:
            x = rescaled(x)
        layers = [getattr(self, name) for name in NETWORK]
        position = list(NETWORK).index(READ_BY_HEAD) + 1
        read = sequential.run(layers[:position], x)
        x = sequential.run(layers[position:], read)
        logits: Tensor = self.fc(self.dropout(ops.mean(x, (2, 3))))
        if self.training and self.AuxLogits is not None:
            return InceptionOutputs(logits, self.AuxLogits(read))
        return logits


class Mixed(nn.Module):
    """A block: its branches side by side, their outputs' channels joined."""

    def __init__(self, in_channels: int, block: Block, scaled: Scaling) -> None:
        super().__init__()
        self.out_channels = 0
        # The names of each branch's modules: those one after the other, and behind them those side
        # by side, if any.
        self.branches: list[tuple[list[str], list[str]]] = []
        for branch in block:
            chain: list[str] = []
            ends: list[str] = []
            taken = made = in_channels
            for name, row in branch.items():
                if isinstance(row, Conv) and row.beside:
                    ends = [chain.pop(), name]
                    self.out_channels += made
                else:
                    taken = made
                    chain.append(name)
                module, made = _made(row, taken, scaled)
                self.add_module(name, module)
            self.out_channels += made
            self.branches.append((chain, ends))

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, C, H, W) to (N, self.out_channels, H', W')."""
        outputs = []
        for chain, ends in self.branches:
            y = sequential.run([getattr(self, name) for name in chain], x)
            outputs += [getattr(self, name)(y) for name in ends] or [y]
        return ops.cat(outputs, 1)


class Head(nn.Module):
    """The auxiliary classifier."""

    def __init__(self, channels: int, num_classes: int, scaled: Scaling) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(5, 3)
        self.conv0 = BasicConv2d(channels, scaled(128), 1)
        self.conv1 = BasicConv2d(scaled(128), scaled(768), 5, padding=0)
        self.fc = nn.Linear(scaled(768), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, channels, H, W), from 17 x 17 on, to logits (N, num_classes)."""
        x = sequential.run([self.pool, self.conv0, self.conv1], x)
        return self.fc(ops.mean(x, (2, 3)))  # type: ignore[no-any-return]


def _made(row: Conv | Pool | Block, in_channels: int, scaled: Scaling) -> tuple[nn.Module, int]:
    """Make what a row of a table says; return it and how many channels it makes."""
    if callable(row):
        return row(), in_channels
    if isinstance(row, Conv):
        made = scaled(row.channels)
        padding = None if row.keeps_size and row.stride == 1 else 0
        return BasicConv2d(in_channels, made, row.kernel_size, row.stride, padding), made
    block = Mixed(in_channels, row, scaled)
    return block, block.out_channels


register("inception_v3", Inception3, input=(3, 299, 299))
