"""How a block's input reaches its addition: the shortcuts of He et al. 2015 and 2016.

`SHORTCUTS` names them. "A", "B", "C" and None, the plain twin, are those of the first paper (arXiv
1512.03385, section 4.1), the others are experiments of the second (1603.05027, section 3): each of
them does something to a shortcut that would better be left alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial

from minires import ops
from minires.autograd import Tensor, located
from minires.devices import random

from . import init
from .containers import Identity
from .layers import BatchNorm2d, Conv2d
from .module import Module
from .noise import Dropout
from .sequential import Sequential

# Makes the shortcut of a block from its channels before and after, and its stride. One that takes
# `norm` is also told whether a projection has a BatchNorm.
Maker = Callable[..., Module | None]
Shortcut = str | Maker | None


class PadShortcut(Module):
    """Option A: take every stride-th pixel and add zero channels.

    Parameters
    ----------
    in_channels, channels : int
    stride : int
    pad : {"both", "end"}
        Where the zero channels stand: half before and half behind, as in the networks that most
        published CIFAR weights come from, or all behind, as in the authors' own. A file of weights
        does not tell, and with the wrong one a network answers at random.
    """

    def __init__(self, in_channels: int, channels: int, stride: int, pad: str = "both") -> None:
        super().__init__()
        if channels < in_channels:
            raise ValueError(
                f"PadShortcut: cannot pad {in_channels} channels to {channels}; use shortcut 'B'"
            )
        if pad not in ("both", "end"):
            raise ValueError(f"PadShortcut: pad must be 'both' or 'end', found {pad!r}")
        self.stride = stride
        self.front = (channels - in_channels) // 2 if pad == "both" else 0
        self.back = channels - in_channels - self.front

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, in_channels, H, W) to (N, channels, ceil(H/stride), ceil(W/stride))."""
        sampled = x[:, :, :: self.stride, :: self.stride] if self.stride > 1 else x
        return ops.pad(sampled, (0, 0, 0, 0, self.front, self.back))

    def extra_repr(self) -> str:
        """Return the arguments that `repr` shows."""
        return f"stride={self.stride}, front={self.front}, back={self.back}"


def padded(in_channels: int, channels: int, stride: int, pad: str = "both") -> Module:
    """Option A: as it is, where the shape changes sampled and padded; no parameters."""
    if _keeps_shape(in_channels, channels, stride):
        return Identity()
    return PadShortcut(in_channels, channels, stride, pad)


def projected(in_channels: int, channels: int, stride: int, norm: bool = True) -> Module:
    """Option C: a 1x1 convolution, and BatchNorm unless `norm` is false."""
    projection = _pointwise(in_channels, channels, stride, bias=False)
    return Sequential(projection, BatchNorm2d(channels)) if norm else projection


def projected_where_needed(
    in_channels: int, channels: int, stride: int, norm: bool = True
) -> Module:
    """Option B: as it is, where the shape changes projected."""
    if _keeps_shape(in_channels, channels, stride):
        return Identity()
    return projected(in_channels, channels, stride, norm)


def only_where_it_fits(in_channels: int, channels: int, stride: int) -> Module | None:
    """As it is, where the shape stays; elsewhere there is no shortcut (MobileNetV2)."""
    return Identity() if _keeps_shape(in_channels, channels, stride) else None


class MeetingShortcut(Module):
    """A shortcut that has a say in the branch, too.

    A subclass defines `meet`, which makes of the block's input, with ``self.through(x)``, something
    of the branch's shape.

    Parameters
    ----------
    in_channels, channels, stride : int
    through : {"A", "B", "C"}, or callable
        How the input gets the output's shape, before anything else is done to it.
    norm : bool
        Whether a projection has a BatchNorm, which a block tells a shortcut that takes it.

    Raises
    ------
    TypeError
        If the subclass does not define `meet`.

    Examples
    --------
    A learned scale of the branch, at first 0 (ReZero, arXiv 2003.04887):

    >>> import minires as mr
    >>> class ReZero(mr.nn.MeetingShortcut):
    ...     def __init__(self, in_channels, channels, stride):
    ...         super().__init__(in_channels, channels, stride)
    ...         self.alpha = mr.nn.Parameter(mr.zeros(1))
    ...
    ...     def meet(self, x, branch):
    ...         return self.through(x), self.alpha * branch
    >>> model = mr.models.cifar_resnet(8, width=4, shortcut=ReZero)
    >>> model(mr.randn(2, 3, 32, 32)).shape
    (2, 10)
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        through: Shortcut = "A",
        norm: bool = True,
    ) -> None:
        if type(self).meet is MeetingShortcut.meet:
            raise TypeError(
                f"{type(self).__name__} does not define meet(self, x, branch), which returns"
                " (shortcut, branch), the two sides of a block's addition"
            )
        super().__init__()
        self.through = make_shortcut(through, in_channels, channels, stride, norm) or Identity()

    def sides(self, x: Tensor, branch: Tensor) -> tuple[Tensor, Tensor]:
        """Run `meet` as a part of this module; TypeError if it does not return two sides."""
        with self.inside():
            met = self.meet(x, branch)
            if not isinstance(met, tuple) or len(met) != 2:
                told = f"{type(self).__name__}.meet must return (shortcut, branch), the two sides"
                raise TypeError(located(f"{told} of a block's addition; found {_described(met)}"))
        return met

    def meet(self, x: Tensor, branch: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is to be added: the shortcut made of x, and what becomes of the branch.

        Parameters
        ----------
        x : Tensor, (N, in_channels, H, W)
            The block's input.
        branch : Tensor, (N, channels, H/stride, W/stride)
            What the branch made of it.

        Returns
        -------
        shortcut, branch : Tensor, both of the branch's shape
        """
        raise NotImplementedError(f"{type(self).__name__} does not define meet")


class ScaledShortcut(MeetingShortcut):
    """Constant scaling: alpha * x + beta * F(x).

    Parameters
    ----------
    in_channels, channels, stride : int
    alpha, beta : float
        The paper tries 0.5 with 1 and with 0.5, and 0 with 1, which is the plain network.
    through, norm
        As for `MeetingShortcut`.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        alpha: float = 0.5,
        beta: float = 1.0,
        through: Shortcut = "A",
        norm: bool = True,
    ) -> None:
        super().__init__(in_channels, channels, stride, through, norm)
        self.alpha = alpha
        self.beta = beta

    def meet(self, x: Tensor, branch: Tensor) -> tuple[Tensor, Tensor]:
        """Scale both sides."""
        return self.alpha * self.through(x), branch if self.beta == 1 else self.beta * branch

    def extra_repr(self) -> str:
        """Return the arguments that `repr` shows."""
        return f"alpha={self.alpha}, beta={self.beta}"


class GatedShortcut(MeetingShortcut):
    """A gate g(x) = sigmoid(conv1x1(x)) that lets through (1 - g) of the shortcut.

    Parameters
    ----------
    in_channels, channels, stride : int
    exclusive : bool
        The branch is multiplied by g: the Highway network (Srivastava et al. 2015, arXiv
        1505.00387). Otherwise it is left as it is, and only the shortcut is gated.
    bias : float
        What the gate's bias starts from; below 0 the shortcut starts open. The paper's best is -6.
    through, norm
        As for `MeetingShortcut`.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        exclusive: bool = True,
        bias: float = -6.0,
        through: Shortcut = "A",
        norm: bool = True,
    ) -> None:
        super().__init__(in_channels, channels, stride, through, norm)
        self.exclusive, self.bias = exclusive, bias
        self.gate = _pointwise(in_channels, channels, stride, bias=True)
        init.constant_(self.gate.bias, bias)

    def meet(self, x: Tensor, branch: Tensor) -> tuple[Tensor, Tensor]:
        """Gate the shortcut, and the branch by what is left."""
        gate = ops.sigmoid(self.gate(x))
        return (1 - gate) * self.through(x), gate * branch if self.exclusive else branch

    def extra_repr(self) -> str:
        """Return the arguments that `repr` shows."""
        return f"exclusive={self.exclusive}, bias={self.bias}"


class DropoutShortcut(Module):
    """Dropout on the shortcut.

    Parameters
    ----------
    in_channels, channels, stride : int
    p : float
        Probability of a zero; the paper tries 0.5.
    through, norm
        As for `MeetingShortcut`.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        p: float = 0.5,
        through: Shortcut = "A",
        norm: bool = True,
    ) -> None:
        super().__init__()
        self.through = make_shortcut(through, in_channels, channels, stride, norm) or Identity()
        self.dropout = Dropout(p)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, in_channels, H, W) to (N, channels, H/stride, W/stride)."""
        return self.dropout(self.through(x))  # type: ignore[no-any-return]


# By name, as a block's argument `shortcut`. Variants are made by functools.partial, for example
# shortcut=partial(nn.ScaledShortcut, alpha=0.5, beta=0.5).
SHORTCUTS: dict[str, Maker] = {
    "A": padded,
    "B": projected_where_needed,
    "C": projected,
    "fitting": only_where_it_fits,
    "scaling": ScaledShortcut,
    "exclusive_gating": GatedShortcut,
    "shortcut_only_gating": partial(GatedShortcut, exclusive=False),
    "dropout": DropoutShortcut,
}


def make_shortcut(
    kind: Shortcut, in_channels: int, channels: int, stride: int, norm: bool = True
) -> Module | None:
    """Make the shortcut of a block.

    It draws its weights from a random stream of its own, so that the rest of the network starts
    from the same numbers whatever its shortcuts are.

    Parameters
    ----------
    kind : key of `SHORTCUTS`, callable, or None
        None, and a callable that returns None, make a plain block.
    in_channels, channels, stride : int
        Of the block.
    norm : bool
        Whether a projection has a BatchNorm.

    Raises
    ------
    ValueError
        If the kind is unknown.
    TypeError
        If a callable does not take these three, or makes no Module; or if it is a Module already.
    """
    if kind is None:
        return None
    if isinstance(kind, Module):
        name = type(kind).__name__
        raise TypeError(
            f"shortcut: found a {name} that is made already, and each block makes its own: give the"
            f" class, {name}, or functools.partial({name}, ...) with further arguments"
        )
    maker = SHORTCUTS.get(kind) if isinstance(kind, str) else kind
    if not callable(maker):
        raise ValueError(
            f"unknown shortcut {kind!r}; known: {', '.join(map(repr, SHORTCUTS))}, None (plain),"
            " and any callable that makes a Module from in_channels, channels and stride"
        )
    try:
        told = {"norm": False} if not norm and _takes_norm(maker) else {}
        inspect.signature(maker).bind(in_channels, channels, stride, **told)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"shortcut: a block calls {_named(maker)} with its in_channels, channels and stride,"
            f" and it does not take them: {error}"
        ) from None
    with random.stream("shortcut"):
        made = maker(in_channels, channels, stride, **told)
    if made is not None and not isinstance(made, Module):
        raise TypeError(
            f"shortcut: {_named(maker)} must make a Module, or None for a plain block; found"
            f" {_described(made)}"
        )
    return made


def _named(maker: Maker) -> str:
    return getattr(maker, "__name__", None) or repr(maker)


def _described(value: object) -> str:
    """Say what was found where something else was needed."""
    of = f" of {len(value)}" if isinstance(value, (tuple, list)) else ""
    return f"a {type(value).__name__}{of}"


def _takes_norm(maker: Maker) -> bool:
    """Tell whether a maker leaves it to the block if a projection has a BatchNorm."""
    parameter = inspect.signature(maker).parameters.get("norm")
    is_said = "norm" in getattr(maker, "keywords", ())
    return parameter is not None and parameter.default is True and not is_said


def _keeps_shape(in_channels: int, channels: int, stride: int) -> bool:
    return in_channels == channels and stride == 1


def _pointwise(in_channels: int, channels: int, stride: int, bias: bool) -> Conv2d:
    made = Conv2d(in_channels, channels, 1, stride, bias=bias)
    init.kaiming_normal_(made.weight, nonlinearity="relu")
    return made
