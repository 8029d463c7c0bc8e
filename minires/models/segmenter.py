"""The fully convolutional network of Long, Shelhamer and Darrell 2015 (arXiv 1411.4038).

A class for each pixel: every stage of a trunk gives scores by a 1x1 convolution, and coarse scores,
twice enlarged, are added to the next finer ones. The coarse ones see more, the fine ones see where.
"""

from __future__ import annotations

from typing import Any

from minires import nn, ops
from minires.autograd import Tensor, no_grad

from .trunk import Trunk


class Segmenter(nn.Module):
    """Score each pixel's classes.

    The skips of the paper's figure 3 are residual additions: at the output of a stage the gradient
    forks into the score layer there (the shortcut, a projection) and into the stages beyond (the
    branch), and a trace tells how much comes through each.

    Parameters
    ----------
    backbone : Module
        Such as `cifar_resnet`; see `Trunk`. Its classifier is left out.
    num_classes : int
        The background counts as one.

    Examples
    --------
    >>> import minires as mr
    >>> model = mr.models.Segmenter(mr.models.cifar_resnet(8, in_channels=1, width=4), 11)
    >>> scores = model(mr.zeros(2, 1, 32, 32))
    >>> scores.shape
    (2, 11, 32, 32)
    >>> mask = mr.zeros(2, 32, 32, dtype="int64")
    >>> mr.ops.cross_entropy(scores, mask).shape
    ()
    """

    def __init__(self, backbone: Any, num_classes: int) -> None:
        super().__init__()
        if num_classes < 2:
            raise ValueError(
                f"Segmenter: num_classes must be at least 2, of which the background is one; found"
                f" {num_classes}"
            )
        self.backbone = Trunk(backbone)
        fine, middle, coarse = self.backbone.channels
        self.score1 = _score(fine, num_classes)
        self.score2 = _score(middle, num_classes)
        self.score3 = _score(coarse, num_classes)
        self.up2 = _twice(num_classes)
        self.up3 = _twice(num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to scores (N, num_classes, H, W)."""
        fine, middle, coarse = self.backbone(x)
        scores = self.score3(coarse)
        scores = _joined(self.score2(middle), self.up3(scores))
        return _joined(self.score1(fine), self.up2(scores))


def _joined(fine: Tensor, coarse: Tensor) -> Tensor:
    """Add enlarged coarse scores to fine ones; an odd size was rounded up, and is cut to fit."""
    h, w = fine.shape[2:]
    fits = tuple(coarse.shape[2:]) == (h, w)
    return ops.residual_add(shortcut=fine, branch=coarse if fits else coarse[:, :, :h, :w])


def _score(channels: int, num_classes: int) -> nn.Conv2d:
    """Make a score layer that begins with scores of 0, as in the paper's section 4.3."""
    made = nn.Conv2d(channels, num_classes, 1)
    nn.init.zeros_(made.weight)
    nn.init.zeros_(made.bias)
    return made


def _twice(channels: int) -> nn.ConvTranspose2d:
    """Make a layer that doubles height and width: bilinear at first, then learned."""
    made = nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1, bias=False)
    bilinear_(made.weight)
    return made


def bilinear_(weight: Tensor) -> Tensor:
    """Fill a transposed convolution's weight so that it interpolates each channel bilinearly.

    With kernel size 2f, stride f and padding f/2, images become f times as large. Outside is 0, so
    that the margin fades.

    Parameters
    ----------
    weight : Tensor, (C, C, K, K)
        K = 2f is a multiple of 4, for else no padding centres the result.

    Returns
    -------
    Tensor
        The same one, overwritten.

    Raises
    ------
    ValueError
        If its shape is another.

    Examples
    --------
    >>> import minires as mr
    >>> bilinear_(mr.zeros(1, 1, 4, 4))[0, 0, 1]
    tensor([0.1875, 0.5625, 0.5625, 0.1875])
    """
    shape = tuple(weight.shape)
    if len(shape) != 4 or shape[0] != shape[1] or shape[2] != shape[3] or shape[2] % 4:
        raise ValueError(
            f"bilinear_: needs a weight (C, C, K, K), K a multiple of 4; found shape {shape}"
        )
    channels, factor = shape[0], shape[2] // 2
    with no_grad():
        tent = 1 - ops.abs(ops.arange(shape[2]) - (factor - 0.5)) / factor
        return weight.copy_(ops.einsum("ab,y,x->abyx", ops.eye(channels), tent, tent))
