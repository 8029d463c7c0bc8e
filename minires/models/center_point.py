"""Objects as Points: the centre-point detector of Zhou, Wang and Krähenbühl (arXiv 1904.07850).

An object is the point in its middle: a peak in its class's heat map. Its size, and where between
the cells of the map the middle lies, are read off at the peak. There are no anchors, and nothing
that suppresses doubles but the look at a peak's eight neighbours.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from minires import devices, nn, ops
from minires.autograd import Tensor
from minires.devices import Array

from .trunk import Trunk

# A cell of the heat map is 4 x 4 pixels: the trunk halves twice. The paper's R.
STRIDE = 4


class CenterMaps(NamedTuple):
    """What a `CenterPointDetector` maps images to, on cells h = H / 4, w = W / 4.

    Attributes
    ----------
    heat : Tensor, (N, num_classes, h, w)
        Logits of the heat map; their sigmoid is the paper's Y.
    offset : Tensor, (N, 2, h, w)
        By how much an object's centre lies to the right of its cell's corner, and below; in cells.
    size : Tensor, (N, 2, h, w)
        Width and height of the object whose centre is there; in cells.
    """

    heat: Tensor
    offset: Tensor
    size: Tensor


class Detections(NamedTuple):
    """Objects found in an image, the surest first; arrays on the host.

    Attributes
    ----------
    boxes : array, (D, 4), floating
        x0, y0, x1, y1 in pixels.
    labels : array, (D,), int64
    scores : array, (D,), floating
        Between 0 and 1.
    """

    boxes: Array
    labels: Array
    scores: Array


class CenterPointDetector(nn.Module):
    """Find objects, each with its class and its box.

    Parameters
    ----------
    backbone : Module
        Such as `cifar_resnet`; see `Trunk`. Its classifier is left out.
    num_classes : int
        Without a background.
    channels : int
        Of the hidden layer in each head.

    Examples
    --------
    >>> import minires as mr
    >>> backbone = mr.models.cifar_resnet(8, in_channels=1, width=4)
    >>> model = mr.models.CenterPointDetector(backbone, num_classes=10)
    >>> maps = model(mr.zeros(2, 1, 64, 64))
    >>> maps.heat.shape, maps.offset.shape, maps.size.shape
    ((2, 10, 16, 16), (2, 2, 16, 16), (2, 2, 16, 16))
    >>> boxes, labels = mr.tensor([[[8.0, 8.0, 24.0, 28.0]]] * 2), mr.tensor([[3], [7]])
    >>> loss = mr.models.center_point_loss(maps, boxes, labels)
    >>> len(mr.models.find_objects(maps, threshold=0.5))
    2
    """

    def __init__(self, backbone: Any, num_classes: int, channels: int = 64) -> None:
        super().__init__()
        if num_classes < 1 or channels < 1:
            raise ValueError(
                "CenterPointDetector: num_classes and channels must be at least 1; found"
                f" {num_classes} and {channels}"
            )
        self.backbone = Trunk(backbone)
        coarse = self.backbone.channels[-1]
        self.heat = _head(coarse, channels, num_classes)
        self.offset = _head(coarse, channels, 2)
        self.size = _head(coarse, channels, 2)
        # Nearly all cells are empty. Were each given 1/2 at first, they alone would make the first
        # steps; so each begins with 1/10 (Lin et al. 2017, arXiv 1708.02002, section 3.3).
        nn.init.constant_(self.heat[-1].bias, -math.log(9))

    def forward(self, x: Tensor) -> CenterMaps:
        """Map images (N, C, H, W) to heat, offsets and sizes.

        Raises
        ------
        ValueError
            If the cells do not fill the image.
        """
        if x.shape[2] % STRIDE or x.shape[3] % STRIDE:
            raise ValueError(
                f"CenterPointDetector: images {tuple(x.shape[2:])} must have a height and a width"
                f" that are multiples of {STRIDE}; pad them"
            )
        coarse = self.backbone(x)[-1]
        return CenterMaps(self.heat(coarse), self.offset(coarse), self.size(coarse))


def _head(in_channels: int, channels: int, out_channels: int) -> nn.Sequential:
    """Make a head: a 3x3 convolution, ReLU and a 1x1 convolution (the paper's section 5)."""
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(channels, out_channels, 1),
    )


def find_objects(maps: CenterMaps, threshold: float = 0.1, most: int = 100) -> list[Detections]:
    """Read the objects off the maps: section 3, "From points to bounding boxes".

    A cell whose heat is at least that of its eight neighbours is an object of the heat's class; the
    heat is its score. Neighbours of equal heat are all objects.

    Parameters
    ----------
    maps : CenterMaps
    threshold : float
        The least score.
    most : int
        No more than so many objects in an image, over all classes.

    Returns
    -------
    list of Detections
        One for each image.

    Raises
    ------
    ValueError
        If `threshold` or `most` make no sense.

    Examples
    --------
    >>> import minires as mr
    >>> heat = mr.tensor([[[[-9.0, -9.0, -9.0], [-9.0, 2.0, 0.0]]]])
    >>> maps = CenterMaps(heat, 0.5 * mr.ones(1, 2, 2, 3), 2.0 * mr.ones(1, 2, 2, 3))
    >>> boxes, labels, scores = find_objects(maps)[0]
    >>> boxes, labels, scores.round(2)  # the centre is at (6, 6)
    (array([[ 2.,  2., 10., 10.]], dtype=float32), array([0]), array([0.88], dtype=float32))
    """
    if not 0 <= threshold <= 1 or most < 1:
        raise ValueError(
            f"find_objects: threshold must lie in [0, 1] and most be at least 1; found {threshold}"
            f" and {most}"
        )
    heat = maps.heat.detach()
    # Logits are compared, for large ones have the same sigmoid. Beyond the margin is -inf.
    peak = heat >= ops.max_pool2d(heat, 3, stride=1, padding=1)
    found = [tensor.detach().to("cpu").numpy() for tensor in (ops.sigmoid(heat), peak, *maps[1:])]
    return [_in_image(threshold, most, *image) for image in zip(*found, strict=True)]


def _in_image(
    threshold: float, most: int, heat: Array, peak: Array, offset: Array, size: Array
) -> Detections:
    """Read the objects of one image off its maps (channels, h, w)."""
    xp = devices.cpu.xp
    label, y, x = (peak & (heat >= threshold)).nonzero()
    surest = (-heat[label, y, x]).argsort(kind="stable")[:most]
    label, y, x = label[surest], y[surest], x[surest]
    centre = xp.stack([x, y]) + offset[:, y, x]
    half = size[:, y, x].clip(0) / 2  # a network that has learned little gives sizes below 0
    boxes = STRIDE * xp.concatenate([centre - half, centre + half]).T
    return Detections(boxes.astype(offset.dtype), label, heat[label, y, x])
