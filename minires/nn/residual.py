"""The vocabulary of residual blocks, and of the same blocks without their shortcut.

A block is a branch of convolutions and a shortcut around it. What differs from paper to paper is
said by arguments: which convolutions; how the shortcut goes (`shortcuts.SHORTCUTS`); where norms
and activations stand (`ORDERS`); what normalises (`NORMS`); and what else is done to the branch.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from minires import ops
from minires.autograd import Tensor
from minires.devices import random

from . import init, sequential
from .containers import Identity
from .functions import ReLU
from .layers import BatchNorm2d, Conv2d
from .module import Module
from .noise import Dropout, StochasticDepth
from .scaling import Rescale, SqueezeExcitation
from .shortcuts import MeetingShortcut, Shortcut, make_shortcut

Value = TypeVar("Value")
Steps = tuple[str, ...]
Maker = Callable[[int], Module]  # of a module for so many channels


class Order(NamedTuple):
    """Where norms and activations stand, by the convolutions and the addition."""

    first: Steps
    between: Steps
    last: Steps
    after: Steps


def _order(figure: str) -> Order:
    """Read a block of two convolutions; between more of them stands what is between these two."""
    branch, after = figure.split("+")
    first, between, last = branch.split("conv")
    return Order(*(tuple(part.split()) for part in (first, between, last, after)))


ORDERS = {
    # Figure 4 (a) to (e) and table 2 of He et al. 2016 (arXiv 1603.05027).
    "original": _order("conv norm act conv norm + act"),
    "norm_after_addition": _order("conv norm act conv + norm act"),
    "act_before_addition": _order("conv norm act conv norm act +"),
    "act_only_preactivation": _order("act conv norm act conv norm +"),
    "full_preactivation": _order("norm act conv norm act conv +"),
    # MobileNetV2 (1801.04381), table 1.
    "linear": _order("conv norm act conv norm +"),
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
    stochastic_depth : float
        Probability that training leaves out an image's branch (Huang et al. 2016, arXiv
        1603.09382).

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
        stochastic_depth: float = 0.0,
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
        last = places.last
        if norms.end is not None:
            # Behind an activation, too, which would give it no gradient at 0.
            last = (*(step for step in last if step != "norm"), "norm")
        self._branch += self._make(last, norms.end or norms.norm, end.out_channels)
        if reduction is not None:
            # From a stream of its own, as a shortcut's: see `make_shortcut`.
            with random.stream("excitation"):
                self.se = SqueezeExcitation(end.out_channels, reduction)
            self._branch.append("se")
        if stochastic_depth:
            self.stochastic_depth = StochasticDepth(stochastic_depth, "row")
            self._branch.append("stochastic_depth")
        self._after = self._make(places.after, norms.norm, end.out_channels)
        stride = math.prod(convolution.stride[0] for convolution in convolutions)
        shape = start.in_channels, end.out_channels, stride
        # A projection has no norm where there are no others, nor behind a pre-activation.
        normed = norm == "batch" and not places.first
        self.downsample = make_shortcut(shortcut, *shape, normed)
        scale = self.last_norm
        if self.downsample is None and isinstance(scale, Rescale) and scale.weight is not None:
            # At 0, without a shortcut around it, it would let nothing through.
            init.ones_(scale.weight)
        through = getattr(self.downsample, "through", self.downsample)
        changes = shape[0] != shape[1] or stride != 1 or isinstance(through, Conv2d)
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
        """The norm behind the branch's last convolution, if there is one."""
        name = next(name for name in reversed(self._branch) if name.startswith(("bn", "conv")))
        return getattr(self, name) if name.startswith("bn") else None

    @property
    def can_start_at_zero(self) -> bool:
        """Whether a last convolution of 0, or a norm behind it, gets a gradient: not by a ReLU."""
        behind = itertools.takewhile(lambda name: not name.startswith("conv"), self._branch[::-1])
        return "relu" not in behind

    def _steps(self, names: Sequence[str]) -> list[Module]:
        return [getattr(self, name) for name in names]

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, in_channels, H, W) to (N, out_channels, H/stride, W/stride)."""
        branch, after = self._steps(self._branch), self._steps(self._after)
        shortcut = self.downsample
        if self._shared:
            x = sequential.run(self._steps(self._first), x)
        else:
            branch = self._steps(self._first) + branch
        if shortcut is None:
            return sequential.run([*branch, *after], x)
        if isinstance(shortcut, MeetingShortcut):
            made = sequential.run(branch, x)
            with shortcut.inside():
                sides = shortcut.meet(x, made)
            return sequential.run(after, ops.residual_add(*sides))
        return sequential.run(branch, x, lambda: shortcut(x), after)

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
