"""Residual networks for small images, and their plain twins.

He et al. 2015 (arXiv 1512.03385, section 4.2): a 3x3 convolution; three stages of n blocks, with
16, 32 and 64 channels, of which the second and third halve the image; global average pooling; one
linear layer. With two convolutions a block there are 6n + 2 layers, with bottlenecks 9n + 2.

He et al. 2016 (1603.05027) move norms and activations, and try other shortcuts. Wide ResNets
(Zagoruyko and Komodakis 2016, 1605.07146) have k times the channels in their stages, and count
their three projections too: 6n + 4.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from minires import nn, ops
from minires.autograd import Tensor
from minires.devices import random
from minires.nn import sequential
from minires.nn.block_init import fixup_
from minires.nn.blocks import conv
from minires.nn.shortcuts import Shortcut, padded

from .parts import check_sizes
from .registry import Entry, register, register_family
from .stages import Block, ends, stages

SMALL = (3, 32, 32)


class CifarResNet(nn.Module):
    """A residual network for small images, or with ``shortcut=None`` its plain twin.

    Parameters
    ----------
    depth : int
        How many layers it is said to have.
    blocks : int
        Of each of the three stages.
    block : type
        `nn.BasicBlock` or `nn.Bottleneck`.
    shortcut : key of `nn.SHORTCUTS`, callable, or None
        How a block's input reaches its addition; None is the plain network.
    width : int
        Channels of the first convolution.
    widen : int
        By how much the stages are wider than that (k of Wide ResNets).
    in_channels, num_classes : int
    order, norm : str
        As for `nn.ResidualBlock`. What an order has before every branch, the network has before
        the classifier instead of behind the first convolution.
    **options
        As for `nn.ResidualBlock`; `stochastic_depth` is that of the last block.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """

    def __init__(
        self,
        depth: int,
        blocks: int,
        block: Block = nn.BasicBlock,
        shortcut: Shortcut = "A",
        width: int = 16,
        widen: int = 1,
        in_channels: int = 3,
        num_classes: int = 10,
        order: str = "original",
        norm: str = "batch",
        **options: Any,
    ) -> None:
        super().__init__()
        check_sizes(width=width, widen=widen, in_channels=in_channels, num_classes=num_classes)
        self.depth = depth
        channels = [factor * widen * width for factor in (1, 2, 4)]
        out = channels[-1] * block.expansion
        options |= {"shortcut": shortcut, "order": order, "norm": norm}
        self.conv1 = conv(in_channels, width, 3)
        self.bn1, last, self.active_last = ends(order, norm, width, out)
        self.relu = nn.ReLU()
        self.layer1, self.layer2, self.layer3 = stages(
            block, width, channels, [blocks] * 3, **options
        )
        self.bn2 = last
        self.fc = nn.Linear(out, num_classes)
        if norm == "fixup":
            fixup_(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, in_channels, H, W) to logits (N, num_classes)."""
        stem, top = [self.conv1, self.bn1], [self.bn2]
        (top if self.active_last else stem).append(self.relu)
        x = sequential.run(stem, x)
        x = sequential.run(top, self.layer3(self.layer2(self.layer1(x))))
        return self.fc(ops.mean(x, (2, 3)))  # type: ignore[no-any-return]


def is_possible_depth(depth: int) -> bool:
    """Tell whether `cifar_resnet` has such a depth: 6n + 2, with at least one block a stage."""
    return depth >= 8 and depth % 6 == 2


def cifar_resnet(
    depth: int = 20,
    shortcut: Shortcut = "A",
    width: int = 16,
    in_channels: int = 3,
    num_classes: int = 10,
    seed: int | None = None,
    *,
    pad: str = "both",
    **options: Any,
) -> CifarResNet:
    """Make a residual network for small images, of basic blocks.

    With the same seed, networks that differ only in `shortcut` start from the same numbers in
    every parameter that they share.

    Parameters
    ----------
    depth : int
        6n + 2 weighted layers: 8, 20, 32, 44, 56, 110, 1202.
    shortcut : key of `nn.SHORTCUTS`, callable, or None
        "A" pads with zero channels (no parameters), "B" projects where the shape changes, "C"
        projects always, None is the plain twin; see `minires.nn.shortcuts` for others.
    width : int
        Channels of the first stage; 16 in the paper.
    in_channels, num_classes : int
    seed : int, optional
        Of the weights; by default the streams of `minires.manual_seed` are continued.
    pad : {"both", "end"}
        Where "A" puts the zero channels. A file of weights does not tell: networks trained with
        PyTorch have mostly "both", the authors' own "end".
    **options
        As for `CifarResNet`: `order`, `norm`, `stochastic_depth`, `reduction` and others.

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
    if not is_possible_depth(depth):
        raise ValueError(
            f"depth {depth} is not possible: CIFAR networks have 6n + 2 layers, such as 8, 20,"
            " 32, 44, 56, 110"
        )
    if pad != "both":
        if shortcut != "A":
            raise ValueError(f"pad={pad!r} is for shortcut 'A', found {shortcut!r}")
        shortcut = partial(padded, pad=pad)
    blocks = (depth - 2) // 6
    options |= {"width": width, "in_channels": in_channels, "num_classes": num_classes}
    with random.seeded(seed):
        return CifarResNet(depth, blocks, shortcut=shortcut, **options)


def cifar_plain(
    depth: int = 20,
    width: int = 16,
    in_channels: int = 3,
    num_classes: int = 10,
    seed: int | None = None,
    **options: Any,
) -> CifarResNet:
    """Make the plain twin: the same layers and, with the same seed, weights; no shortcuts.

    See `cifar_resnet` for the parameters.
    """
    return cifar_resnet(depth, None, width, in_channels, num_classes, seed, **options)


def cifar_preact_resnet(
    depth: int = 110,
    block: Block = nn.BasicBlock,
    shortcut: Shortcut = "B",
    order: str = "full_preactivation",
    **options: Any,
) -> CifarResNet:
    """Make a pre-activation network (He et al. 2016).

    Parameters
    ----------
    depth : int
        6n + 2 with `nn.BasicBlock`, 9n + 2 with `nn.Bottleneck`.
    block : type
    shortcut, order, **options
        As for `CifarResNet`. As in the authors' code, a bottleneck's first convolution strides.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> import minires as mr
    >>> mr.nn.parameter_count(mr.models.cifar_preact_resnet(164, mr.nn.Bottleneck))
    1703258
    """
    bottlenecks = issubclass(block, nn.Bottleneck)
    layers = 9 if bottlenecks else 6
    if depth < layers + 2 or depth % layers != 2:
        raise ValueError(
            f"depth {depth} is not possible: with {block.__name__} there are {layers}n + 2 layers"
        )
    blocks = (depth - 2) // layers
    if bottlenecks:
        options = {"strided": 1, **options}
    return CifarResNet(depth, blocks, block, shortcut, order=order, **options)


def wide_resnet(depth: int = 28, widen: int = 10, **options: Any) -> CifarResNet:
    """Make a Wide ResNet for small images (Zagoruyko and Komodakis 2016), WRN-depth-widen.

    Parameters
    ----------
    depth : int
        6n + 4: 16, 22, 28, 40.
    widen : int
        k: the stages have 16k, 32k and 64k channels.
    **options
        As for `CifarResNet`; the paper tries `dropout=0.3`.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    if depth < 10 or depth % 6 != 4:
        raise ValueError(f"depth {depth} is not possible: Wide ResNets have 6n + 4 layers")
    given = {"shortcut": "B", "order": "full_preactivation", **options}
    return CifarResNet(depth, (depth - 4) // 6, widen=widen, **given)


# Tables 2 and 6 of the first paper, with each kind of shortcut.
for _depth in (8, 14, 20, 32, 44, 56, 110, 1202):
    register(f"cifar_plain{_depth}", cifar_resnet, SMALL, depth=_depth, shortcut=None)
    for _kind in "A" if _depth == 1202 else "ABC":
        _name = f"cifar_resnet{_depth}_{_kind.lower()}"
        register(_name, cifar_resnet, SMALL, depth=_depth, shortcut=_kind)

# Tables 3 to 5 of the second.
for _depth in (20, 56, 110):
    register(f"cifar_preact_resnet{_depth}", cifar_preact_resnet, SMALL, depth=_depth)
for _depth in (164, 1001):
    register(
        f"cifar_preact_resnet{_depth}",
        cifar_preact_resnet,
        SMALL,
        depth=_depth,
        block=nn.Bottleneck,
    )

for _depth, _widen in ((16, 2), (16, 4), (16, 8), (28, 2), (28, 10), (40, 4)):
    register(f"wrn_{_depth}_{_widen}", wide_resnet, SMALL, depth=_depth, widen=_widen)


def _plain(found: re.Match[str]) -> Entry:
    return Entry(cifar_resnet, SMALL, {"depth": _depth_of(found), "shortcut": None})


def _residual(found: re.Match[str]) -> Entry:
    kind = {"shortcut": found["kind"].upper()} if found["kind"] else {}
    return Entry(cifar_resnet, SMALL, {"depth": _depth_of(found), **kind})


def _depth_of(found: re.Match[str]) -> int:
    digits = found["depth"]
    if len(digits) > 4:
        raise ValueError(f"cifar networks by name have at most 9998 layers, found {digits[:20]}")
    return int(digits)


# Any possible depth goes; without a letter, shortcuts are of option A unless another is asked for.
register_family(r"cifar_plain(?P<depth>\d+)", _plain)
register_family(r"cifar_resnet(?P<depth>\d+)(_(?P<kind>[abc]))?", _residual)
