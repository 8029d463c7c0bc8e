"""Residual blocks: one vocabulary for all of them, and for the same blocks without shortcut.

A block is a branch of convolutions and a shortcut around it. What differs from paper to paper is
said by arguments: which convolutions; how the shortcut goes (`shortcuts.SHORTCUTS`); where norms
and activations stand (`ORDERS`); what normalises (`NORMS`); and what else is done to the branch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from minires import ops
from minires.autograd import Tensor, no_grad

from . import fused, init
from .containers import Identity
from .functions import Dropout, ReLU
from .layers import BatchNorm2d, Conv2d, Linear
from .module import Module
from .scaling import Rescale, SqueezeExcitation
from .shortcuts import MeetingShortcut, Shortcut, make_shortcut

Value = TypeVar("Value")
Steps = tuple[str, ...]
Maker = Callable[[int], Module]  # of a module for so many channels


class Order(NamedTuple):
    """Where norms and activations stand, by convolutions and addition."""

    first: Steps
    between: Steps
    last: Steps
    after: Steps


# (a) to (e) of table 2 and figure 4 in He et al. 2016 (arXiv 1603.05027), and the block of
# MobileNetV2 (1801.04381), whose end is linear.
ORDERS = {
    # before conv 1, between convolutions, behind the last one, behind the addition
    "original": Order((), ("norm", "act"), ("norm",), ("act",)),
    "norm_after_addition": Order((), ("norm", "act"), (), ("norm", "act")),
    "act_before_addition": Order((), ("norm", "act"), ("norm", "act"), ()),
    "act_only_preactivation": Order(("act",), ("norm", "act"), ("norm",), ()),
    "full_preactivation": Order(("norm", "act"), ("norm", "act"), (), ()),
    "linear": Order((), ("norm", "act"), ("norm",), ()),
}


class Norm(NamedTuple):
    """What normalises: made before each convolution, at a norm's place, and at the branch's end."""

    before: Maker | None
    norm: Maker | None
    end: Maker | None


def _shift(channels: int) -> Module:
    return Rescale(bias=0.0)


NORMS = {
    "batch": Norm(None, BatchNorm2d, None),
    # Learned scalars (Zhang et al. 2019, arXiv 1901.09321); `fixup_` starts the convolutions.
    "fixup": Norm(_shift, _shift, lambda channels: Rescale(weight=1.0, bias=0.0)),
    # One scalar, by which every branch starts at 0 (De and Smith 2020, arXiv 2002.10444).
    "skipinit": Norm(None, None, lambda channels: Rescale(weight=0.0)),
    "none": Norm(None, None, None),
}


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


class ResidualBlock(Module):
    """A branch F of convolutions, and a shortcut around it: shortcut(x) + F(x).

    Convolutions are called ``conv1``, ``conv2``, ..., norms ``bn1``, ``bn2``, ... in their order,
    and the shortcut ``downsample``: torchvision's names. `repr` tells the order of all steps.

    Parameters
    ----------
    convolutions : sequence of Module
        The branch; each has ``in_channels``, ``out_channels`` and ``stride``, as `Conv2d`.
    shortcut : key of `SHORTCUTS`, callable, or None
        None is the plain block.
    order : key of `ORDERS`
    norm : key of `NORMS`
    activation : callable
        Makes the activation.
    reduction : int, optional
        Of a squeeze-and-excitation before the addition.
    dropout : float
        Probability of Dropout before every convolution but the first (Wide ResNet).
    share : bool
        Let the shortcut start behind a pre-activation, as in the first block of He et al. 2016.
        Where it is projected or changes the shape, it always does.
    drop : float
        Probability that training leaves out an image's branch (stochastic depth, Huang et al.
        2016, arXiv 1603.09382).

    Raises
    ------
    ValueError
        If an argument is unknown.

    Examples
    --------
    >>> import minires as mr
    >>> convolutions = [mr.nn.Conv2d(4, 4, 1), mr.nn.Conv2d(4, 4, 3, padding=1)]
    >>> block = mr.nn.ResidualBlock(convolutions, "A", order="full_preactivation")
    >>> block.extra_repr()
    'bn1, relu, conv1, bn2, relu, conv2, + downsample'
    """

    expansion = 1

    def __init__(
        self,
        convolutions: Sequence[Module],
        shortcut: Shortcut = "B",
        *,
        order: str = "original",
        norm: str = "batch",
        activation: Callable[[], Module] = ReLU,
        reduction: int | None = None,
        dropout: float = 0.0,
        drop: float = 0.0,
        share: bool = False,
    ) -> None:
        super().__init__()
        places, norms = order_of(order), _known(NORMS, norm, "norm")
        start, end = convolutions[0], convolutions[-1]
        self.relu = activation()
        self._first = self._make(places.first, norms.norm, start.in_channels)
        self._branch: list[str] = []
        for convolution in convolutions[:-1]:
            self._branch += self._convolve(norms.before, convolution)
            self._branch += self._make(places.between, norms.norm, convolution.out_channels)
            if dropout:
                self._branch += self._add("dropout", Dropout(dropout))
        self._branch += self._convolve(norms.before, end)
        last = places.last if norms.end is None or "norm" in places.last else ("norm", *places.last)
        self._branch += self._make(last, norms.end or norms.norm, end.out_channels)
        if reduction is not None:
            self.se = SqueezeExcitation(end.out_channels, reduction)
            self._branch.append("se")
        self._after = self._make(places.after, norms.norm, end.out_channels)
        stride = math.prod(convolution.stride[0] for convolution in convolutions)
        shape = start.in_channels, end.out_channels, stride
        # A projection is normalised where the convolutions of the branch are.
        normed = norm == "batch" and not places.first
        self.downsample = make_shortcut(shortcut, *shape, normed)
        changes = shape[0] != shape[1] or stride != 1 or isinstance(self.downsample, Conv2d)
        self._shared = bool(self._first) and (share or changes)

    def _make(self, steps: Steps, norm: Maker | None, channels: int) -> list[str]:
        """Make the norms among the steps; return the names of all."""
        names = []
        for step in steps:
            if step == "act":
                names.append("relu")
            elif norm is not None:
                names += self._add("bn", norm(channels))
        return names

    def _convolve(self, before: Maker | None, convolution: Module) -> list[str]:
        shift = None if before is None else before(convolution.in_channels)
        return self._add("shift", shift) + self._add("conv", convolution)

    def _add(self, kind: str, module: Module | None) -> list[str]:
        """Register a module, if there is one, under its kind and number; return its name."""
        if module is None:
            return []
        number = 1 + sum(name.rstrip("0123456789") == kind for name, _ in self.named_children())
        self.add_module(f"{kind}{number}", module)
        return [f"{kind}{number}"]

    @property
    def last_norm(self) -> Module | None:
        """The norm at the end of the branch, if there is one."""
        name = next((name for name in reversed(self._branch) if name != "relu"), "")
        return getattr(self, name) if name.startswith("bn") else None

    def _steps(self, names: Sequence[str]) -> list[Module]:
        return [getattr(self, name) for name in names]

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, in_channels, H, W) to (N, out_channels, H/stride, W/stride)."""
        branch, after = self._steps(self._branch), self._steps(self._after)
        shortcut = self.downsample
        if self._shared:
            x = fused.run(self._steps(self._first), x)
        else:
            branch = self._steps(self._first) + branch
        if shortcut is None:
            return fused.run([*branch, *after], x)
        if isinstance(shortcut, MeetingShortcut):
            sides = shortcut.meet(x, fused.run(branch, x))
            return fused.run(after, ops.residual_add(*sides))
        return fused.run(branch, x, lambda: shortcut(x), after)

    def extra_repr(self) -> str:
        """Return the steps in their order."""
        joined = [] if self.downsample is None else ["+ downsample"]
        forks = ["fork"] if self._shared else []
        return ", ".join([*self._first, *forks, *self._branch, *joined, *self._after])


def order_of(name: str) -> Order:
    """Return the order of this name; ValueError tells which there are."""
    return _known(ORDERS, name, "order")


def normalizer(norm: str, channels: int) -> Module:
    """Make what normalises outside of blocks, for example behind the first convolution."""
    made = _known(NORMS, norm, "norm").norm
    return Identity() if made is None else made(channels)


def _known(table: Mapping[str, Value], name: str, what: str) -> Value:
    if name not in table:
        raise ValueError(f"unknown {what} {name!r}; known: {', '.join(map(repr, table))}")
    return table[name]


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
    expand : int
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
        expand: int = 6,
        conv: Callable[..., Conv2d] = conv,
        order: str = "linear",
        activation: Callable[[], Module] = ReLU,
        **options: Any,
    ) -> None:
        width = in_channels * expand
        convolutions = [
            conv(width, width, 3, stride, width),
            conv(width, channels, 1),
        ]
        if expand > 1:
            convolutions.insert(0, conv(in_channels, width, 1))
        super().__init__(convolutions, shortcut, order=order, activation=activation, **options)


def fixup_(model: Module) -> None:
    """Start a network without norms so that training begins well (Fixup, rules 1 and 2).

    Branches and the last linear layer start at 0; the other convolutions of a branch of m are
    scaled by L ** (-1 / (2m - 2)), L being the number of blocks (Zhang et al. 2019).
    """
    blocks = [module for module in model.modules() if isinstance(module, ResidualBlock)]
    with no_grad():
        for block in blocks:
            *inner, last = (m for name, m in block.named_children() if name.startswith("conv"))
            for convolution in inner:
                factor = len(blocks) ** (-0.5 / len(inner))
                convolution.weight.copy_(convolution.weight * factor)
            init.zeros_(last.weight)
        heads = [module for module in model.modules() if isinstance(module, Linear)]
        for value in heads[-1].parameters():
            init.zeros_(value)


def zero_last_scale_(model: Module) -> None:
    """Start every branch that ends in a BatchNorm at 0 (Goyal et al. 2017, arXiv 1706.02677)."""
    for block in model.modules():
        if isinstance(block, ResidualBlock) and isinstance((norm := block.last_norm), BatchNorm2d):
            init.zeros_(norm.weight)
