"""The blocks of the papers, in the vocabulary of `residual`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import init
from .functions import ReLU6
from .layers import Conv2d
from .module import Module
from .residual import ResidualBlock
from .shortcuts import Shortcut


def conv(
    in_channels: int,
    channels: int,
    kernel_size: int,
    stride: int = 1,
    groups: int = 1,
    bias: bool = False,
    mode: str = "fan_in",
) -> Conv2d:
    """Make a convolution that keeps the size (at stride 1), with He's weights; see `init`."""
    padding = kernel_size // 2
    made = Conv2d(in_channels, channels, kernel_size, stride, padding, groups=groups, bias=bias)
    init.kaiming_normal_(made.weight, mode=mode, nonlinearity="relu")
    if bias:
        init.zeros_(made.bias)
    return made


class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions (He et al. 2015, figure 5, left).

    Parameters
    ----------
    in_channels, channels : int
    stride : int
        Of the first convolution (and the shortcut).
    shortcut : key of `SHORTCUTS`, callable, or None
    conv : callable
        Makes a convolution, as `minires.nn.blocks.conv` does.
    **options
        As for `ResidualBlock`.

    Examples
    --------
    >>> import minires as mr
    >>> mr.nn.BasicBlock(16, 32, stride=2, shortcut="A")(mr.randn(1, 16, 8, 8)).shape
    (1, 32, 4, 4)
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        shortcut: Shortcut = "B",
        conv: Callable[..., Conv2d] = conv,
        **options: Any,
    ) -> None:
        convolutions = conv(in_channels, channels, 3, stride), conv(channels, channels, 3)
        super().__init__(convolutions, shortcut, **options)


class Bottleneck(ResidualBlock):
    """1x1, 3x3 and 1x1 convolutions, the last with four times the channels (figure 5, right).

    Parameters
    ----------
    in_channels, channels : int
        The block's output has 4 * channels channels.
    stride : int
    shortcut : key of `SHORTCUTS`, callable, or None
    groups : int
        Of the 3x3 convolution: ResNeXt's cardinality (Xie et al. 2017, arXiv 1611.05431).
    base_width : int
        Channels of each group where `channels` is 64, as in torchvision.
    strided : {2, 1}
        Which convolution has the stride: the 3x3, as in torchvision ("v1.5"), or the first 1x1, as
        in the paper ("v1"). A file of weights does not tell.
    conv : callable
        Makes a convolution, as `minires.nn.blocks.conv` does.
    **options
        As for `ResidualBlock`.

    Raises
    ------
    ValueError
        If an argument is out of range, or a group would have no channels.
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        shortcut: Shortcut = "B",
        groups: int = 1,
        base_width: int = 64,
        strided: int = 2,
        conv: Callable[..., Conv2d] = conv,
        **options: Any,
    ) -> None:
        if strided not in (1, 2):
            raise ValueError(f"Bottleneck: strided must be 1 or 2, found {strided!r}")
        width = channels * base_width // 64 * groups
        if width < 1:
            raise ValueError(
                f"Bottleneck: channels={channels} and base_width={base_width} leave no channels in"
                " a group; take more channels"
            )
        convolutions = (
            conv(in_channels, width, 1, stride if strided == 1 else 1),
            conv(width, width, 3, stride if strided == 2 else 1, groups),
            conv(width, channels * self.expansion, 1),
        )
        super().__init__(convolutions, shortcut, **options)


class PreActBlock(BasicBlock):
    """BatchNorm and ReLU *before* each 3x3 convolution; nothing after the addition.

    He et al. 2016 (arXiv 1603.05027). Where the shape changes, the shortcut starts behind the
    first ReLU, and a projection has no BatchNorm.

    Parameters
    ----------
    *arguments, **options
        As for `BasicBlock`.
    """

    def __init__(self, *arguments: Any, order: str = "full_preactivation", **options: Any) -> None:
        super().__init__(*arguments, order=order, **options)


class PreActBottleneck(Bottleneck):
    """The pre-activation form of `Bottleneck`; see `PreActBlock`.

    Parameters
    ----------
    *arguments, **options
        As for `Bottleneck`.
    """

    def __init__(self, *arguments: Any, order: str = "full_preactivation", **options: Any) -> None:
        super().__init__(*arguments, order=order, **options)


class SeparableBlock(ResidualBlock):
    """A 3x3 convolution of each channel, and a 1x1 convolution of each pixel (MobileNet).

    Howard et al. 2017 (arXiv 1704.04861): without a shortcut, each followed by norm and ReLU.

    Parameters
    ----------
    in_channels, channels : int
    stride : int
    shortcut : key of `SHORTCUTS`, callable, or None
    conv : callable
        Makes a convolution, as `minires.nn.blocks.conv` does.
    **options
        As for `ResidualBlock`.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        shortcut: Shortcut = None,
        conv: Callable[..., Conv2d] = conv,
        order: str = "act_before_addition",
        **options: Any,
    ) -> None:
        convolutions = (
            conv(in_channels, in_channels, 3, stride, in_channels),
            conv(in_channels, channels, 1),
        )
        super().__init__(convolutions, shortcut, order=order, **options)


class InvertedResidual(ResidualBlock):
    """Wide inside, narrow and linear outside (Sandler et al. 2018, arXiv 1801.04381).

    Parameters
    ----------
    in_channels, channels : int
    stride : int
    shortcut : key of `SHORTCUTS`, callable, or None
        By default there is one only where the shape stays.
    expand_ratio : int
        Inside there are so many times the input's channels.
    conv : callable
        Makes a convolution, as `minires.nn.blocks.conv` does.
    **options
        As for `ResidualBlock`.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        shortcut: Shortcut = "fitting",
        expand_ratio: int = 6,
        conv: Callable[..., Conv2d] = conv,
        order: str = "linear",
        activation: Callable[[], Module] = ReLU6,
        **options: Any,
    ) -> None:
        width = in_channels * expand_ratio
        convolutions = [
            conv(width, width, 3, stride, width),
            conv(width, channels, 1),
        ]
        if expand_ratio > 1:
            convolutions.insert(0, conv(in_channels, width, 1))
        super().__init__(convolutions, shortcut, order=order, activation=activation, **options)
