"""VGG: Simonyan and Zisserman 2014 (*Very Deep Convolutional Networks*, arXiv 1409.1556).

3x3 convolutions only; five stages, a 2x2 max pool behind each; then three linear layers.
"""

from __future__ import annotations

from functools import partial

from minires import nn, ops
from minires.autograd import Tensor

from .parts import check_sizes, draw_weights, lrn, scaling
from .registry import register

# Table 1, but for its column C: channels of each convolution, stage by stage.
CONFIGURATIONS: dict[str, tuple[tuple[int | str, ...], ...]] = {
    # image   224           112         56                    28                    14
    "A":     ((64,),       (128,),     (256, 256),           (512, 512),           (512, 512)),
    "A-LRN": ((64, "LRN"), (128,),     (256, 256),           (512, 512),           (512, 512)),
    "B":     ((64, 64),    (128, 128), (256, 256),           (512, 512),           (512, 512)),
    "D":     ((64, 64),    (128, 128), (256, 256, 256),      (512, 512, 512),      (512, 512, 512)),
    "E":     ((64, 64),    (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512,) * 4),
}  # fmt: skip

GRID = 7  # what the last pool leaves of an image of 224 pixels, each way
HIDDEN = 4096  # values of the two hidden linear layers


class VGG(nn.Module):
    """Stages of 3x3 convolutions, and three linear layers.

    Parameters
    ----------
    configuration : {"A", "A-LRN", "B", "D", "E"}
        Column of the paper's table 1; D has 16 weighted layers.
    batch_norm : bool
        Batch normalisation behind each convolution, which keeps its bias.
    num_classes, in_channels : int
    width : int
        Channels of the first stage; the others scale with it.
    dropout : float
        Behind each hidden linear layer.

    Raises
    ------
    ValueError
        If there is no such configuration, or a size is out of range.

    Examples
    --------
    >>> import minires as mr
    >>> mr.models.VGG("A", width=4, num_classes=10)(mr.zeros(1, 3, 32, 32)).shape
    (1, 10)
    """

    def __init__(
        self,
        configuration: str = "D",
        batch_norm: bool = False,
        num_classes: int = 1000,
        in_channels: int = 3,
        width: int = 64,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        check_sizes(num_classes=num_classes, in_channels=in_channels)
        if configuration not in CONFIGURATIONS:
            raise ValueError(
                f"VGG: configuration must be one of {list(CONFIGURATIONS)}, found {configuration!r}"
            )
        scaled = scaling(width, 64)
        layers: list[nn.Module] = []
        channels = in_channels
        for stage in CONFIGURATIONS[configuration]:
            for row in stage:
                if isinstance(row, str):
                    layers.append(lrn())
                    continue
                layers.append(nn.Conv2d(channels, scaled(row), 3, padding=1))
                channels = scaled(row)
                if batch_norm:
                    layers.append(nn.BatchNorm2d(channels))
                layers.append(nn.ReLU())
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        hidden = scaled(HIDDEN)
        self.classifier = nn.Sequential(
            *(nn.Linear(channels * GRID**2, hidden), nn.ReLU(), nn.Dropout(dropout)),
            *(nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(dropout)),
            nn.Linear(hidden, num_classes),
        )
        # Without batch normalisation so many layers start only with weights of the right size,
        # which the paper had no rule for yet.
        he = partial(nn.init.kaiming_normal_, mode="fan_out", nonlinearity="relu")
        draw_weights(self, he, partial(nn.init.normal_, std=0.01), 0.0, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, in_channels, H, W), from 32 pixels on, to logits (N, num_classes)."""
        x = ops.adaptive_avg_pool2d(self.features(x), GRID)
        return self.classifier(ops.flatten(x, 1))  # type: ignore[no-any-return]


for _name, _configuration in {"vgg11": "A", "vgg13": "B", "vgg16": "D", "vgg19": "E"}.items():
    register(_name, VGG, configuration=_configuration)
    register(f"{_name}_bn", VGG, configuration=_configuration, batch_norm=True)
register("vgg11_lrn", VGG, configuration="A-LRN")
