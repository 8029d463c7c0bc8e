"""Layers with parameters: convolutions, linear maps, batch normalisation."""

from __future__ import annotations

import math
from typing import Any

from minires import ops
from minires.autograd import Tensor, located
from minires.ops.geometry import pair

from . import init
from .module import Module, Parameter

Pair = int | tuple[int, int]


def _default_init(weight: Tensor, bias: Tensor | None) -> None:
    """Uniform within 1 / sqrt(fan_in), PyTorch's default for weights and biases."""
    init.kaiming_uniform_(weight, a=math.sqrt(5))
    if bias is not None:
        bound = 1 / math.sqrt(max(init.fans(weight)[0], 1))
        init.uniform_(bias, -bound, bound)


class Linear(Module):
    """y = x @ weight.T + bias.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool

    Attributes
    ----------
    weight : Parameter, (out_features, in_features)
    bias : Parameter, (out_features,), or None
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(ops.zeros(out_features, in_features))
        self.register_parameter("bias", Parameter(ops.zeros(out_features)) if bias else None)
        _default_init(self.weight, self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (..., in_features) to (..., out_features)."""
        return ops.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the arguments that `repr` shows."""
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"


class _Convolution(Module):
    """What both convolutions share: their arguments, checked, and their parameters."""

    _named_paddings: tuple[str, ...] = ()  # paddings other than pixels

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair,
        padding: Pair | str,
        dilation: Pair,
        groups: int,
        bias: bool,
        weight_shape: tuple[int, int],
    ) -> None:
        super().__init__()
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{type(self).__name__}: groups={groups} must divide in_channels={in_channels}"
                f" and out_channels={out_channels}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        layer = type(self).__name__
        self.kernel_size = pair(kernel_size, "kernel_size", layer, 1)
        self.stride = pair(stride, "stride", layer, 1)
        pixels: Any = padding
        named = padding in self._named_paddings
        self.padding: Any = pixels if named else pair(pixels, "padding", layer, 0)
        self.dilation = pair(dilation, "dilation", layer, 1)
        self.groups = groups
        self.weight = Parameter(ops.zeros(*weight_shape, *self.kernel_size))
        self.register_parameter("bias", Parameter(ops.zeros(out_channels)) if bias else None)
        _default_init(self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the arguments that `repr` shows."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        defaults = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
        for name, default in defaults.items():
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        return text + ("" if self.bias is not None else ", bias=False")


class Conv2d(_Convolution):
    """Slide filters over images; see `minires.ops.conv2d`.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, dilation : int or (int, int)
    padding : int or (int, int), or {"same", "valid"}
    groups : int
    bias : bool

    Attributes
    ----------
    weight : Parameter, (out_channels, in_channels / groups, KH, KW)
    bias : Parameter, (out_channels,), or None

    Examples
    --------
    >>> import minires as mr
    >>> mr.nn.Conv2d(3, 16, 3, padding=1)(mr.zeros(1, 3, 32, 32)).shape
    (1, 16, 32, 32)
    """

    _named_paddings = ("same", "valid")

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair | str = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        shape = out_channels, in_channels // max(groups, 1)
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, shape
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, in_channels, H, W) to (N, out_channels, OH, OW)."""
        return ops.conv2d(
            x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )


class ConvTranspose2d(_Convolution):
    """Run a convolution backwards; see `minires.ops.conv_transpose2d`.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, padding, output_padding : int or (int, int)
    groups : int
    bias : bool
    dilation : int or (int, int)

    Attributes
    ----------
    weight : Parameter, (in_channels, out_channels / groups, KH, KW)
    bias : Parameter, (out_channels,), or None
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        output_padding: Pair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Pair = 1,
    ) -> None:
        shape = in_channels, out_channels // max(groups, 1)
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, shape
        )
        self.output_padding = pair(output_padding, "output_padding", "ConvTranspose2d", 0)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, in_channels, H, W) to (N, out_channels, OH, OW)."""
        return ops.conv_transpose2d(
            x,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.output_padding,
            self.groups,
            self.dilation,
        )


class _BatchNorm(Module):
    """What both batch normalisations share."""

    _input_dims: tuple[int, ...] = ()

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.register_parameter("weight", Parameter(ops.ones(num_features)) if affine else None)
        self.register_parameter("bias", Parameter(ops.zeros(num_features)) if affine else None)
        tracked = track_running_stats
        self.register_buffer("running_mean", ops.zeros(num_features) if tracked else None)
        self.register_buffer("running_var", ops.ones(num_features) if tracked else None)
        count = ops.full((), 0, dtype="int64")
        self.register_buffer("num_batches_tracked", count if tracked else None)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (N, C, ...)."""
        vectors, settings = self.begin(x)
        return ops.batch_norm(x, *vectors, **settings)

    def begin(self, x: Tensor) -> tuple[tuple[Any, Any, Any, Any], dict[str, Any]]:
        """Check and count the batch x; return what `minires.ops.batch_norm` is given beside it."""
        if len(x.shape) not in self._input_dims:
            raise ValueError(
                f"{type(self).__name__}: input must have {self._input_dims} axes, found shape"
                f" {tuple(x.shape)}"
            )
        if x.shape[1] != self.num_features:
            raise ValueError(
                located(
                    f"batch_norm: input has {x.shape[1]} channels (shape {tuple(x.shape)}), the"
                    f" layer normalises {self.num_features}"
                )
            )
        momentum = self.momentum
        if self.training and self.track_running_stats:
            self.num_batches_tracked.data += 1
            if momentum is None:
                momentum = 1 / self.num_batches_tracked.item()
        vectors = self.running_mean, self.running_var, self.weight, self.bias
        training = self.training or not self.track_running_stats
        return vectors, {"training": training, "momentum": momentum or 0.0, "eps": self.eps}

    def extra_repr(self) -> str:
        """Return the arguments that `repr` shows."""
        text = f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"
        return text + ("" if self.affine else ", affine=False")


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of inputs (N, C) or (N, C, L); arguments as for `BatchNorm2d`."""

    _input_dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images (N, C, H, W).

    Parameters
    ----------
    num_features : int
        Number of channels, C.
    eps : float
        Added to the variance.
    momentum : float or None
        Weight of the *new* batch in the running statistics; None averages over all batches.
    affine : bool
        Learn a scale and a shift.
    track_running_stats : bool
        Keep running statistics, and normalise by them in evaluation mode.

    Attributes
    ----------
    weight, bias : Parameter, (C,), or None
    running_mean, running_var : Tensor, (C,), or None
        `running_var` estimates the unbiased variance.
    num_batches_tracked : Tensor, (), int64, or None
    """

    _input_dims = (4,)


def parameter_count(module: Module) -> int:
    """Return the number of learned values of a module.

    Examples
    --------
    >>> import minires as mr
    >>> mr.nn.parameter_count(mr.models.cifar_resnet(20))
    269722
    """
    return sum(math.prod(parameter.shape) for parameter in module.parameters())
