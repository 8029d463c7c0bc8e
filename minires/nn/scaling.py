"""Learned factors for a branch: one for each image and channel, or one for all."""

from __future__ import annotations

from minires import ops
from minires.autograd import Tensor

from .layers import Conv2d
from .module import Module, Parameter


class SqueezeExcitation(Module):
    """Scale each channel by what the means of all channels say (Hu et al. 2018, arXiv 1709.01507).

    x * sigmoid(fc2(relu(fc1(mean of x over the image)))).

    Parameters
    ----------
    channels : int
    reduction : int
        ``fc1`` leads to channels // reduction values.

    Raises
    ------
    ValueError
        If that would be none.

    Examples
    --------
    >>> import minires as mr
    >>> mr.nn.SqueezeExcitation(32)(mr.ones(2, 32, 4, 4)).shape
    (2, 32, 4, 4)
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        if reduction < 1 or channels < reduction:
            raise ValueError(
                f"SqueezeExcitation: {channels} channels divided by reduction={reduction} leave"
                " nothing to squeeze into"
            )
        self.fc1 = Conv2d(channels, channels // reduction, 1)
        self.fc2 = Conv2d(channels // reduction, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, C, H, W) to the same shape."""
        squeezed = ops.mean(x, (2, 3), keepdim=True)
        return x * ops.sigmoid(self.fc2(ops.relu(self.fc1(squeezed))))


class Rescale(Module):
    """weight * x + bias with learned scalars, instead of a norm.

    Parameters
    ----------
    weight, bias : float, optional
        What they start from; None leaves them out.

    Examples
    --------
    >>> import minires as mr
    >>> mr.nn.Rescale(bias=1.0)(mr.zeros(2))
    tensor([1., 1.], grad_fn=<add>)
    """

    def __init__(self, weight: float | None = None, bias: float | None = None) -> None:
        super().__init__()
        for name, start in (("weight", weight), ("bias", bias)):
            value = None if start is None else Parameter(ops.full((1,), start))
            self.register_parameter(name, value)

    def forward(self, x: Tensor) -> Tensor:
        """Map x of any shape to the same shape."""
        if self.weight is not None:
            x = x * self.weight
        return x if self.bias is None else x + self.bias
