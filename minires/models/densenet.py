"""DenseNet: Huang, Liu, van der Maaten and Weinberger 2016 (arXiv 1608.06993).

Every layer of a block reads what all layers before it made: x_l = H([x_0, x_1, ..., x_(l-1)]). H
is BN, ReLU and a 3x3 convolution that makes k channels, the growth rate. "B": a 1x1 convolution to
4k channels stands before it. "C": transitions between blocks halve the channels.
"""

from __future__ import annotations

from collections.abc import Sequence

from minires import nn, ops
from minires.autograd import Tensor
from minires.nn import sequential

from .parts import check_sizes, draw_weights, scaling
from .registry import register

# Table 1: growth rate, channels of the first convolution, layers of each block.
IMAGENET = {
    "densenet121": (32, 64, (6, 12, 24, 16)),
    "densenet169": (32, 64, (6, 12, 32, 32)),
    "densenet201": (32, 64, (6, 12, 48, 32)),
    "densenet161": (48, 96, (6, 12, 36, 24)),
}

# Table 2: depth and growth rate, for images of 32 pixels.
CIFAR = {
    "densenet": ((40, 12), (100, 12)),
    "densenet_bc": ((40, 12), (100, 12), (250, 24), (190, 40)),
}


class DenseNet(nn.Module):
    """A stem, dense blocks with transitions between them, one linear layer.

    Parameters
    ----------
    growth_rate : int
        k: channels that each layer makes, at the published width.
    blocks : sequence of int
        Layers of each block.
    stem : int
        Channels of the first convolution, as published.
    imagenet : bool
        The stem is 7x7 with stride 2 and a pool; else, for small images, a 3x3 convolution alone.
    bottleneck : bool
        Each layer thins its input to 4k channels first; "B".
    compression : float
        Share of the channels that a transition keeps; "C" is 0.5.
    num_classes, in_channels : int
    width : int, optional
        Channels of the first convolution; all others scale with it. By default `stem`.
    drop_rate : float
        Dropout behind each layer.

    Raises
    ------
    ValueError
        If a size is out of range.

    Examples
    --------
    >>> import minires as mr
    >>> model = mr.models.DenseNet(4, (2, 2), stem=8, imagenet=False, num_classes=10)
    >>> model(mr.zeros(1, 3, 8, 8)).shape
    (1, 10)
    """

    def __init__(
        self,
        growth_rate: int = 32,
        blocks: Sequence[int] = (6, 12, 24, 16),
        stem: int = 64,
        imagenet: bool = True,
        bottleneck: bool = True,
        compression: float = 0.5,
        num_classes: int = 1000,
        in_channels: int = 3,
        width: int | None = None,
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        check_sizes(num_classes=num_classes, in_channels=in_channels)
        scaled = scaling(stem if width is None else width, stem)
        channels, growth = scaled(stem), scaled(growth_rate)
        self.features = nn.Sequential(_stem(in_channels, channels, imagenet))
        for number, layers in enumerate(blocks, 1):
            if number > 1:
                kept = int(channels * compression)
                self.features.add_module(f"transition{number - 1}", _transition(channels, kept))
                channels = kept
            block = DenseBlock(channels, growth, layers, bottleneck, drop_rate)
            self.features.add_module(f"denseblock{number}", block)
            channels += layers * growth
        self.features.add_module(f"norm{len(blocks) + 1}", nn.BatchNorm2d(channels))
        self.relu = nn.ReLU()
        self.classifier = nn.Linear(channels, num_classes)
        draw_weights(self, nn.init.kaiming_normal_, linear_bias=0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, in_channels, H, W) to logits (N, num_classes)."""
        x = sequential.run([self.features, self.relu], x)
        return self.classifier(ops.mean(x, (2, 3)))  # type: ignore[no-any-return]


class DenseBlock(nn.Module):
    """Layers that each read the block's input and what all layers before them made.

    Parameters
    ----------
    in_channels, growth, layers : int
    bottleneck : bool
    drop_rate : float
    """

    def __init__(
        self, in_channels: int, growth: int, layers: int, bottleneck: bool, drop_rate: float
    ) -> None:
        super().__init__()
        for index in range(layers):
            layer = _dense_layer(in_channels + index * growth, growth, bottleneck, drop_rate)
            self.add_module(f"denselayer{index + 1}", layer)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (N, C, H, W) to (N, C + layers * growth, H, W)."""
        made = [x]
        for layer in self.children():
            made.append(layer(x))
            x = ops.cat(made, 1)
        return x


def _stem(in_channels: int, channels: int, imagenet: bool) -> dict[str, nn.Module]:
    if not imagenet:
        return {"conv0": nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)}
    return {
        "conv0": nn.Conv2d(in_channels, channels, 7, 2, padding=3, bias=False),
        "norm0": nn.BatchNorm2d(channels),
        "relu0": nn.ReLU(),
        "pool0": nn.MaxPool2d(3, 2, padding=1),
    }


def _dense_layer(channels: int, growth: int, bottleneck: bool, drop_rate: float) -> nn.Sequential:
    """H, which makes `growth` channels."""
    if bottleneck:
        steps = _activated_conv(channels, 4 * growth, 1, "1")
        steps |= _activated_conv(4 * growth, growth, 3, "2")
    else:
        steps = _activated_conv(channels, growth, 3, "1")
    if drop_rate:
        steps["drop"] = nn.Dropout(drop_rate)
    return nn.Sequential(steps)


def _transition(channels: int, kept: int) -> nn.Sequential:
    """A 1x1 convolution and a pool, to half the image."""
    return nn.Sequential({**_activated_conv(channels, kept, 1), "pool": nn.AvgPool2d(2, 2)})


def _activated_conv(
    channels: int, made: int, kernel_size: int, number: str = ""
) -> dict[str, nn.Module]:
    """BN, ReLU and the convolution behind them."""
    conv = nn.Conv2d(channels, made, kernel_size, padding=kernel_size // 2, bias=False)
    names = (f"norm{number}", f"relu{number}", f"conv{number}")
    return dict(zip(names, (nn.BatchNorm2d(channels), nn.ReLU(), conv), strict=True))


for _name, (_growth, _channels, _blocks) in IMAGENET.items():
    register(_name, DenseNet, growth_rate=_growth, stem=_channels, blocks=_blocks)

for _kind, _rows in CIFAR.items():
    for _depth, _growth in _rows:
        _bc = _kind == "densenet_bc"
        register(
            f"{_kind}_{_depth}_{_growth}",
            DenseNet,
            input=(3, 32, 32),
            growth_rate=_growth,
            blocks=((_depth - 4) // (6 if _bc else 3),) * 3,
            stem=2 * _growth if _bc else 16,
            imagenet=False,
            bottleneck=_bc,
            compression=0.5 if _bc else 1.0,
            num_classes=10,
        )
