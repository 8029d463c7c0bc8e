"""ResNeXt as its paper draws it first: many narrow paths that are added up.

Xie et al. 2017 (arXiv 1611.05431, figure 3) show three equal forms of their block: (a) paths side
by side, here; (c) one grouped convolution, which is `Bottleneck` with `groups`.
"""

from __future__ import annotations

import copy

from minires.autograd import Tensor

from . import fused
from .blocks import Bottleneck
from .containers import ModuleList
from .functions import ReLU
from .layers import BatchNorm2d, Conv2d
from .module import Module
from .residual import ResidualBlock


class Path(Module):
    """One path: 1x1, 3x3 and 1x1 convolutions; the norm behind the last one is the block's.

    Parameters
    ----------
    in_channels, width, channels : int
        `width` within.
    strides : (int, int)
        Of the first two convolutions.
    """

    def __init__(
        self, in_channels: int, width: int, channels: int, strides: tuple[int, int]
    ) -> None:
        super().__init__()
        self.conv1 = Conv2d(in_channels, width, 1, strides[0], bias=False)
        self.bn1 = BatchNorm2d(width)
        self.conv2 = Conv2d(width, width, 3, strides[1], padding=1, bias=False)
        self.bn2 = BatchNorm2d(width)
        self.conv3 = Conv2d(width, channels, 1, bias=False)
        self.relu = ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, in_channels, H, W) to (N, channels, H/stride, W/stride)."""
        inner = [self.conv1, self.bn1, self.relu, self.conv2, self.bn2, self.relu]
        return fused.run([*inner, self.conv3], x)


class SplitTransform(Module):
    """Split, transform, merge: the sum of `cardinality` paths.

    Parameters
    ----------
    in_channels, width, channels : int
        `width` within each path.
    cardinality : int
        How many paths.
    strides : (int, int)
        Of each path's first two convolutions.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        channels: int,
        cardinality: int,
        strides: tuple[int, int] = (1, 1),
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = channels
        self.stride = (strides[0] * strides[1],)
        self.paths = ModuleList(
            Path(in_channels, width, channels, strides) for _ in range(cardinality)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, in_channels, H, W) to (N, channels, H/stride, W/stride)."""
        first, *others = (path(x) for path in self.paths)
        for other in others:
            first = first + other
        return first  # type: ignore[no-any-return]


_STEPS = "conv1, bn1, relu, conv2, bn2, relu, conv3, bn3, relu"


def split_transform_merge(block: Bottleneck) -> ResidualBlock:
    """Return the block with its grouped convolution drawn apart: the same function of x.

    Parameters
    ----------
    block : Bottleneck
        Of the original order; it stays as it is.

    Returns
    -------
    ResidualBlock
        Its branch is a `SplitTransform` with a path for each group, and a norm. Parameters are
        copies of the block's.

    Raises
    ------
    ValueError
        If the block has other steps than those of figure 3.

    Examples
    --------
    >>> import minires as mr
    >>> grouped = mr.nn.Bottleneck(16, 8, groups=4, base_width=16)
    >>> len(mr.nn.split_transform_merge(grouped).conv1.paths)
    4
    """
    steps = block.extra_repr().replace(" + downsample,", "")
    if steps != _STEPS or type(block.relu) is not ReLU:
        raise ValueError(
            f"split_transform_merge: expected a block of the steps {_STEPS!r}, found {steps!r} with"
            f" {block.relu!r}"
        )
    convolution = block.conv2
    groups, width = convolution.groups, convolution.out_channels // convolution.groups
    strides = block.conv1.stride[0], convolution.stride[0]
    paths = SplitTransform(
        block.conv1.in_channels, width, block.conv3.out_channels, groups, strides
    )
    place = block.conv1.weight.device, block.conv1.weight.dtype
    paths.to(*place)
    for number, path in enumerate(paths.paths):
        mine = slice(number * width, (number + 1) * width)
        path.conv1.weight.copy_(block.conv1.weight[mine])
        path.conv2.weight.copy_(block.conv2.weight[mine])
        path.conv3.weight.copy_(block.conv3.weight[:, mine])
        for ours, theirs in ((path.bn1, block.bn1), (path.bn2, block.bn2)):
            for name, value in ours.state_dict().items():
                given = theirs.state_dict()[name]
                value.copy_(given[mine] if given.ndim else given)
    made = ResidualBlock([paths], shortcut=lambda *shape: copy.deepcopy(block.downsample))
    made.bn1.to(*place)
    made.bn1.load_state_dict(block.bn3.state_dict())
    return made.train(block.training)
