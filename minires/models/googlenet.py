"""GoogLeNet: Szegedy et al. 2014 (*Going Deeper with Convolutions*, arXiv 1409.4842).

Nine inception modules: 1x1, 3x3 and 5x5 convolutions and a pool side by side, each with a 1x1
convolution to thin the channels. In training two auxiliary heads on modules 4a and 4d bring the
gradient to the early layers; the paper adds their losses with weight 0.3.

``googlenet_2014`` is the paper's form: biases, local response normalisation, no batch
normalisation. ``googlenet`` is torchvision's: batch normalisation instead, another fourth pool, and
3x3 convolutions where the table says 5x5 (an old mistake, which its published weights have learned
with); ``googlenet_5x5_bn`` is that without the mistake. Names that end in ``aux`` have the heads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from minires import nn, ops
from minires.autograd import Tensor
from minires.nn import sequential

from .parts import BasicConv2d, Joined, Scaling, check_sizes, draw_weights, lrn, rescaled, scaling
from .registry import register


class Inception(NamedTuple):
    """Channels of one module: a row of table 1."""

    c1x1: int
    reduce3x3: int
    c3x3: int
    reduce5x5: int
    c5x5: int
    pool: int


# Table 1: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj
MODULES = {
    "3a": Inception(64, 96, 128, 16, 32, 32),
    "3b": Inception(128, 128, 192, 32, 96, 64),
    "4a": Inception(192, 96, 208, 16, 48, 64),
    "4b": Inception(160, 112, 224, 24, 64, 64),
    "4c": Inception(128, 128, 256, 24, 64, 64),
    "4d": Inception(112, 144, 288, 32, 64, 64),
    "4e": Inception(256, 160, 320, 32, 128, 128),
    "5a": Inception(256, 160, 320, 32, 128, 128),
    "5b": Inception(384, 192, 384, 48, 128, 128),
}


class GoogLeNetOutputs(NamedTuple):
    """What GoogLeNet with heads returns in training: three times logits (N, num_classes)."""

    logits: Tensor
    aux_logits2: Tensor
    aux_logits1: Tensor


class GoogLeNet(nn.Module):
    """A stem, nine inception modules in three stages, one linear layer.

    Parameters
    ----------
    batch_norm : bool
        Batch normalisation behind each convolution; without it the form of 2014.
    kernel5x5 : {5, 3}
        Of the branch that the paper calls 5x5.
    aux_logits : bool
        Have the two auxiliary heads.
    num_classes, in_channels : int
    width : int
        Channels of the first convolution; the others scale with it.
    dropout, dropout_aux : float, optional
        Before the last layer of the network and of the heads; by default the form's.
    transform_input : bool
        Images are normalised with ImageNet's mean and deviation, the weights expect 0.5 and 0.5:
        so it is with torchvision's published ones.

    Raises
    ------
    ValueError
        If a size is out of range.

    Examples
    --------
    >>> import minires as mr
    >>> mr.models.GoogLeNet(width=8, num_classes=10).eval()(mr.zeros(1, 3, 64, 64)).shape
    (1, 10)
    """

    def __init__(
        self,
        batch_norm: bool = True,
        kernel5x5: int = 3,
        aux_logits: bool = False,
        num_classes: int = 1000,
        in_channels: int = 3,
        width: int = 64,
        dropout: float | None = None,
        dropout_aux: float = 0.7,
        transform_input: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(num_classes=num_classes, in_channels=in_channels)
        self.transform_input = transform_input
        scaled = scaling(width, 64)
        conv = partial(BasicConv2d, norm=batch_norm)
        pool = partial(nn.MaxPool2d, 3, stride=2, ceil_mode=True)

        self.conv1 = conv(in_channels, scaled(64), 7, stride=2)
        self.maxpool1 = pool()
        self.lrn1 = nn.Identity() if batch_norm else lrn()
        self.conv2 = conv(scaled(64), scaled(64), 1)
        self.conv3 = conv(scaled(64), scaled(192), 3)
        self.lrn2 = nn.Identity() if batch_norm else lrn()
        self.maxpool2 = pool()
        reached = scaled(192)
        channels = {}  # behind each module
        for name, published in MODULES.items():
            row = Inception(*map(scaled, published))
            self.add_module(f"inception{name}", _inception(reached, row, kernel5x5, conv))
            channels[name] = reached = row.c1x1 + row.c3x3 + row.c5x5 + row.pool
        self.maxpool3 = pool()
        self.maxpool4 = nn.MaxPool2d(2, 2, ceil_mode=True) if batch_norm else pool()
        self.aux1: Head | None = None
        self.aux2: Head | None = None
        if aux_logits:
            to_4x4 = partial(nn.AdaptiveAvgPool2d, 4) if batch_norm else partial(nn.AvgPool2d, 5, 3)
            head = partial(Head, num_classes, scaled, conv, to_4x4, dropout_aux)
            self.aux1, self.aux2 = head(channels["4a"]), head(channels["4d"])
        if dropout is None:
            dropout = 0.2 if batch_norm else 0.4
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(reached, num_classes)
        if batch_norm:
            normal = partial(nn.init.trunc_normal_, std=0.01)
            draw_weights(self, normal, normal)
        else:
            # The paper does not say how. So does Caffe's model of it; 0.01 would not reach the end.
            xavier = nn.init.xavier_uniform_
            draw_weights(self, xavier, xavier, convolution_bias=0.2, linear_bias=0.0)

    def forward(self, x: Tensor) -> Tensor | GoogLeNetOutputs:
        """Map images (N, in_channels, H, W) to logits (N, num_classes).

        In training, if it has heads, to `GoogLeNetOutputs`.
        """
        if self.transform_input:
            x = rescaled(x)
        x = sequential.run([self.conv1, self.maxpool1, self.lrn1], x)  # from 224 x 224 to 56 x 56
        x = sequential.run([self.conv2, self.conv3, self.lrn2, self.maxpool2], x)  # 28 x 28
        x = sequential.run([self.inception3a, self.inception3b, self.maxpool3], x)  # 14 x 14
        x_4a = self.inception4a(x)
        x_4d = sequential.run([self.inception4b, self.inception4c, self.inception4d], x_4a)
        x = sequential.run([self.inception4e, self.maxpool4], x_4d)  # 7 x 7
        x = sequential.run([self.inception5a, self.inception5b], x)
        logits: Tensor = self.fc(self.dropout(ops.mean(x, (2, 3))))
        if self.training and self.aux1 is not None and self.aux2 is not None:
            return GoogLeNetOutputs(logits, self.aux2(x_4d), self.aux1(x_4a))
        return logits


class Head(nn.Module):
    """An auxiliary classifier: a pool to 4 x 4, a 1x1 convolution, two linear layers."""

    def __init__(
        self,
        num_classes: int,
        scaled: Scaling,
        conv: Callable[..., BasicConv2d],
        to_4x4: Callable[[], nn.Module],
        dropout: float,
        channels: int,
    ) -> None:
        super().__init__()
        self.pool = to_4x4()
        self.conv = conv(channels, scaled(128), 1)
        self.fc1 = nn.Linear(scaled(128) * 4 * 4, scaled(1024))
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(scaled(1024), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, channels, H, W) to logits (N, num_classes)."""
        x = ops.flatten(self.conv(self.pool(x)), 1)
        return self.fc2(self.dropout(self.relu(self.fc1(x))))  # type: ignore[no-any-return]


def _inception(
    channels: int, row: Inception, kernel5x5: int, conv: Callable[..., BasicConv2d]
) -> Joined:
    """Figure 2 (b)."""
    return Joined(
        branch1=conv(channels, row.c1x1, 1),
        branch2=nn.Sequential(conv(channels, row.reduce3x3, 1), conv(row.reduce3x3, row.c3x3, 3)),
        branch3=nn.Sequential(
            conv(channels, row.reduce5x5, 1), conv(row.reduce5x5, row.c5x5, kernel5x5)
        ),
        branch4=nn.Sequential(nn.MaxPool2d(3, 1, padding=1), conv(channels, row.pool, 1)),
    )


for _suffix, _aux in {"": False, "_aux": True}.items():
    register(f"googlenet{_suffix}", GoogLeNet, aux_logits=_aux)
    register(f"googlenet_2014{_suffix}", GoogLeNet, batch_norm=False, kernel5x5=5, aux_logits=_aux)
register("googlenet_5x5_bn", GoogLeNet, kernel5x5=5)
