"""Blocks of residual networks, and the same blocks without their shortcut.

`shortcut` says how a block's input reaches its addition (He et al. 2015, section 4.1):
"A" as it is, sampled and padded with zero channels where the shape changes (no parameters);
"B" projected by a 1x1 convolution where the shape changes, else as it is;
"C" projected always; None not at all: the plain twin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard, TypeVar

from minires import ops
from minires.autograd import Tensor, looked_on
from minires.devices import random

from . import init
from .containers import Identity, Sequential
from .functions import ReLU
from .layers import BatchNorm2d, Conv2d
from .module import Module

Kind = TypeVar("Kind", bound=Module)

SHORTCUTS = ("A", "B", "C", None)


def conv(in_channels: int, channels: int, kernel_size: int, stride: int = 1) -> Conv2d:
    """Make a convolution without bias that keeps the size (at stride 1), with He's weights."""
    made = Conv2d(in_channels, channels, kernel_size, stride, padding=kernel_size // 2, bias=False)
    init.kaiming_normal_(made.weight, nonlinearity="relu")
    return made


class PadShortcut(Module):
    """Option A: take every stride-th pixel and pad with zero channels, half on each side.

    Parameters
    ----------
    in_channels, channels : int
    stride : int
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        if channels < in_channels:
            raise ValueError(
                f"PadShortcut: cannot pad {in_channels} channels to {channels}; use shortcut 'B'"
            )
        self.stride = stride
        self.front = (channels - in_channels) // 2
        self.back = channels - in_channels - self.front

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, in_channels, H, W) to (N, channels, ceil(H/stride), ceil(W/stride))."""
        sampled = x[:, :, :: self.stride, :: self.stride] if self.stride > 1 else x
        return ops.pad(sampled, (0, 0, 0, 0, self.front, self.back))

    def extra_repr(self) -> str:
        """Return the arguments that `repr` shows."""
        return f"stride={self.stride}, front={self.front}, back={self.back}"


def make_shortcut(
    kind: str | None, in_channels: int, channels: int, stride: int, norm: bool = True
) -> Module | None:
    """Make the shortcut of a block; see the module's head for the kinds.

    Projections draw their weights from a random stream of their own, so that the rest of the
    network starts from the same numbers whatever the kind.

    Raises
    ------
    ValueError
        If the kind is unknown.
    """
    if kind not in SHORTCUTS:
        raise ValueError(f"unknown shortcut {kind!r}; known: 'A', 'B', 'C' and None (plain)")
    if kind is None:
        return None
    same = in_channels == channels and stride == 1
    if kind != "C" and same:
        return Identity()
    if kind == "A":
        return PadShortcut(in_channels, channels, stride)
    with random.stream("shortcut"):
        projection = conv(in_channels, channels, 1, stride)
    return Sequential(projection, BatchNorm2d(channels)) if norm else projection


def joined(shortcut: Module | None, start: Tensor, branch: Tensor) -> Tensor:
    """Add the shortcut from `start` to the branch; a plain block has none, and is its branch."""
    return branch if shortcut is None else ops.residual_add(shortcut(start), branch)


def _stock(module: Module, kind: type[Kind]) -> TypeGuard[Kind]:
    """Tell whether a module is of this kind and computes as its class does."""
    return type(module) is kind and "forward" not in vars(module)


def activated(norm: Module, relu: Module, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
    """relu(norm(x) + shortcut): fused into one op, unless somebody looks on.

    Under a hook or `minires.expand`, and for layers of other kinds, each step is an op of its own;
    the numbers are the same to the bit.
    """
    if _stock(norm, BatchNorm2d) and _stock(relu, ReLU) and not looked_on():
        with norm.inside():
            vectors, settings = norm.begin(x)
            return ops.batch_norm_relu(x, *vectors, shortcut, **settings)
    y = norm(x)
    return relu(y if shortcut is None else ops.residual_add(shortcut, y))  # type: ignore[no-any-return]


def convolved(norm: Module, relu: Module, conv: Module, x: Tensor) -> Tensor:
    """conv(relu(norm(x))): in one op that keeps only x, unless somebody looks on."""
    stock = _stock(norm, BatchNorm2d) and _stock(relu, ReLU) and _stock(conv, Conv2d)
    if stock and not looked_on() and x.device.recomputes:
        with norm.inside():
            (mean, variance, scale, shift), settings = norm.begin(x)
        with conv.inside():
            return ops.batch_norm_relu_conv2d(
                *(x, mean, variance, scale, shift, conv.weight, conv.bias),
                stride=conv.stride,
                padding=conv.padding,
                dilation=conv.dilation,
                groups=conv.groups,
                **settings,
            )
    return conv(activated(norm, relu, x))  # type: ignore[no-any-return]


def stacked(
    layers: Sequence[tuple[Module, Module]], relu: Module, x: Tensor, shortcut: Module | None = None
) -> Tensor:
    """relu(norm(conv(x))) for each pair (conv, norm); before the last ReLU shortcut(x) is added.

    Where all norms are folded away, each convolution, its ReLU and the addition are one op.
    """
    start = x
    folded = [conv for conv, norm in layers if _stock(conv, Conv2d) and _stock(norm, Identity)]
    if len(folded) == len(layers) and _stock(relu, ReLU) and not looked_on():
        for inner in folded[:-1]:
            x = _conv2d_relu(inner, x)
        return _conv2d_relu(folded[-1], x, None if shortcut is None else shortcut(start))
    (conv, norm), *rest = layers
    x = conv(x)
    for conv, following in rest:
        x = convolved(norm, relu, conv, x)
        norm = following
    return activated(norm, relu, x, None if shortcut is None else shortcut(start))


def _conv2d_relu(conv: Conv2d, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
    with conv.inside():
        settings = conv.stride, conv.padding, conv.dilation, conv.groups
        return ops.conv2d_relu(x, conv.weight, conv.bias, shortcut, *settings)


class BasicBlock(Module):
    """Two 3x3 convolutions, each with BatchNorm; the shortcut is added before the last ReLU.

    Parameters
    ----------
    in_channels, channels : int
    stride : int
        Of the first convolution (and the shortcut).
    shortcut : {"A", "B", "C", None}

    Examples
    --------
    >>> import minires as mr
    >>> mr.nn.BasicBlock(16, 32, stride=2, shortcut="A")(mr.randn(1, 16, 8, 8)).shape
    (1, 32, 4, 4)
    """

    expansion = 1

    def __init__(
        self, in_channels: int, channels: int, stride: int = 1, shortcut: str | None = "B"
    ) -> None:
        super().__init__()
        self.conv1 = conv(in_channels, channels, 3, stride)
        self.bn1 = BatchNorm2d(channels)
        self.relu = ReLU()
        self.conv2 = conv(channels, channels, 3)
        self.bn2 = BatchNorm2d(channels)
        self.downsample = make_shortcut(shortcut, in_channels, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, in_channels, H, W) to (N, channels, H/stride, W/stride)."""
        layers = (self.conv1, self.bn1), (self.conv2, self.bn2)
        return stacked(layers, self.relu, x, self.downsample)


class Bottleneck(Module):
    """1x1, 3x3, 1x1 convolutions, the last with four times the channels; stride in the 3x3.

    Parameters
    ----------
    in_channels, channels : int
        The block's output has 4 * channels channels.
    stride : int
    shortcut : {"A", "B", "C", None}
    """

    expansion = 4

    def __init__(
        self, in_channels: int, channels: int, stride: int = 1, shortcut: str | None = "B"
    ) -> None:
        super().__init__()
        wide = channels * self.expansion
        self.conv1 = conv(in_channels, channels, 1)
        self.bn1 = BatchNorm2d(channels)
        self.conv2 = conv(channels, channels, 3, stride)
        self.bn2 = BatchNorm2d(channels)
        self.conv3 = conv(channels, wide, 1)
        self.bn3 = BatchNorm2d(wide)
        self.relu = ReLU()
        self.downsample = make_shortcut(shortcut, in_channels, wide, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, in_channels, H, W) to (N, 4*channels, H/stride, W/stride)."""
        layers = (self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)
        return stacked(layers, self.relu, x, self.downsample)


class PreActBlock(Module):
    """BatchNorm and ReLU *before* each 3x3 convolution; nothing after the addition.

    He et al. 2016 (arXiv 1603.05027). Where the shape changes, the shortcut starts behind the
    first ReLU, and a projection has no BatchNorm.

    Parameters
    ----------
    in_channels, channels : int
    stride : int
    shortcut : {"A", "B", "C", None}
    """

    expansion = 1

    def __init__(
        self, in_channels: int, channels: int, stride: int = 1, shortcut: str | None = "B"
    ) -> None:
        super().__init__()
        self.bn1 = BatchNorm2d(in_channels)
        self.conv1 = conv(in_channels, channels, 3, stride)
        self.bn2 = BatchNorm2d(channels)
        self.conv2 = conv(channels, channels, 3)
        self.relu = ReLU()
        self.downsample = make_shortcut(shortcut, in_channels, channels, stride, norm=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, in_channels, H, W) to (N, channels, H/stride, W/stride)."""
        active = activated(self.bn1, self.relu, x)
        out = convolved(self.bn2, self.relu, self.conv2, self.conv1(active))
        start = x if isinstance(self.downsample, Identity) else active
        return joined(self.downsample, start, out)


class PreActBottleneck(Module):
    """The pre-activation form of `Bottleneck`; see `PreActBlock`.

    Parameters
    ----------
    in_channels, channels : int
        The block's output has 4 * channels channels.
    stride : int
    shortcut : {"A", "B", "C", None}
    """

    expansion = 4

    def __init__(
        self, in_channels: int, channels: int, stride: int = 1, shortcut: str | None = "B"
    ) -> None:
        super().__init__()
        wide = channels * self.expansion
        self.bn1 = BatchNorm2d(in_channels)
        self.conv1 = conv(in_channels, channels, 1)
        self.bn2 = BatchNorm2d(channels)
        self.conv2 = conv(channels, channels, 3, stride)
        self.bn3 = BatchNorm2d(channels)
        self.conv3 = conv(channels, wide, 1)
        self.relu = ReLU()
        self.downsample = make_shortcut(shortcut, in_channels, wide, stride, norm=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, in_channels, H, W) to (N, 4*channels, H/stride, W/stride)."""
        active = activated(self.bn1, self.relu, x)
        out = convolved(self.bn2, self.relu, self.conv2, self.conv1(active))
        out = convolved(self.bn3, self.relu, self.conv3, out)
        start = x if isinstance(self.downsample, Identity) else active
        return joined(self.downsample, start, out)
