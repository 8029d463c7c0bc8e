"""AlexNet: Krizhevsky, Sutskever and Hinton 2012, and Krizhevsky's form of 2014.

2012 (*ImageNet Classification with Deep Convolutional Neural Networks*, figure 2): two GPUs, each
with half the channels of a layer. Convolutions 2, 4 and 5 see only what lies on their own GPU: two
groups. Local response normalisation and overlapping pools; dropout behind the hidden linear layers.

2014 (*One weird trick for parallelizing convolutional neural networks*, arXiv 1404.5997): one
column, fewer channels, no groups, no normalisation. This is torchvision's ``alexnet``, which has
the dropout before the hidden linear layers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from minires import nn, ops
from minires.autograd import Tensor

from .parts import check_sizes, draw_weights, lrn, scaling
from .registry import register


class Convolution(NamedTuple):
    """One convolution, its ReLU, and what comes behind them."""

    channels: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    behind: tuple[str, ...] = ()
    bias: float = 0.0  # what the biases start from, in 2012


CONVOLUTIONS = {
    2012: (  # section 3.5; biases: section 5
        Convolution(96, 11, stride=4, behind=("LRN", "pool")),
        Convolution(256, 5, padding=2, groups=2, behind=("LRN", "pool"), bias=1),
        Convolution(384, 3, padding=1),
        Convolution(384, 3, padding=1, groups=2, bias=1),
        Convolution(256, 3, padding=1, groups=2, behind=("pool",), bias=1),
    ),
    2014: (
        Convolution(64, 11, stride=4, padding=2, behind=("pool",)),
        Convolution(192, 5, padding=2, behind=("pool",)),
        Convolution(384, 3, padding=1),
        Convolution(256, 3, padding=1),
        Convolution(256, 3, padding=1, behind=("pool",)),
    ),
}

BEHIND: dict[str, Callable[[], nn.Module]] = {
    "LRN": lrn,
    "pool": partial(nn.MaxPool2d, 3, 2),
}

GRID = 6  # what the last pool leaves of the image, each way
HIDDEN = 4096  # values of the two hidden linear layers


class AlexNet(nn.Module):
    """Five convolutions and three linear layers.

    Parameters
    ----------
    year : {2012, 2014}
        Which form; see the module's head.
    num_classes, in_channels : int
    width : int, optional
        Channels of the first convolution; the others scale with it. By default the paper's.
    dropout : float

    Raises
    ------
    ValueError
        If the year is another, or a size is out of range.

    Examples
    --------
    >>> import minires as mr
    >>> mr.models.AlexNet(2014, width=4, num_classes=10)(mr.zeros(1, 3, 63, 63)).shape
    (1, 10)
    """

    def __init__(
        self,
        year: int = 2014,
        num_classes: int = 1000,
        in_channels: int = 3,
        width: int | None = None,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        check_sizes(num_classes=num_classes, in_channels=in_channels)
        if year not in CONVOLUTIONS:
            raise ValueError(f"AlexNet: year must be one of {list(CONVOLUTIONS)}, found {year!r}")
        self.year = year
        rows = CONVOLUTIONS[year]
        published = rows[0].channels
        scaled = scaling(published if width is None else width, published)
        layers: list[nn.Module] = []
        channels = in_channels
        for row in rows:
            made = scaled(row.channels)
            window = row.kernel_size, row.stride, row.padding
            layers += [nn.Conv2d(channels, made, *window, groups=row.groups), nn.ReLU()]
            layers += [BEHIND[name]() for name in row.behind]
            channels = made
        self.features = nn.Sequential(*layers)
        hidden = scaled(HIDDEN)
        fc6 = nn.Linear(channels * GRID**2, hidden), nn.ReLU()
        fc7 = nn.Linear(hidden, hidden), nn.ReLU()
        fc8 = nn.Linear(hidden, num_classes)
        drop6, drop7 = nn.Dropout(dropout), nn.Dropout(dropout)
        if year == 2014:
            self.classifier = nn.Sequential(drop6, *fc6, drop7, *fc7, fc8)
        else:
            self.classifier = nn.Sequential(*fc6, drop6, *fc7, drop7, fc8)
            self._draw_weights()

    def _draw_weights(self) -> None:
        """Section 5: N(0, 0.01^2); biases that give the ReLUs positive inputs early."""
        normal = partial(nn.init.normal_, std=0.01)
        draw_weights(self, normal, normal, linear_bias=1.0)
        nn.init.zeros_(self.classifier[-1].bias)
        convolutions = (layer for layer in self.features if isinstance(layer, nn.Conv2d))
        for layer, row in zip(convolutions, CONVOLUTIONS[2012], strict=True):
            nn.init.constant_(layer.bias, row.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, in_channels, H, W) to logits (N, num_classes).

        2014 takes any size from 63; 2012 takes 227, for its linear layers need a grid of 6 x 6.
        """
        x = self.features(x)
        if self.year == 2014:
            x = ops.adaptive_avg_pool2d(x, GRID)
        elif x.shape[2:] != (GRID, GRID):
            raise ValueError(
                f"AlexNet of 2012: its linear layers take a grid of {GRID} x {GRID}, found"
                f" {x.shape[2]} x {x.shape[3]}; give it images of 227 x 227 pixels (the paper"
                " says 224, which does not fit its own numbers)"
            )
        return self.classifier(ops.flatten(x, 1))  # type: ignore[no-any-return]


register("alexnet", AlexNet, year=2014)
register("alexnet_2012", AlexNet, input=(3, 227, 227), year=2012)
