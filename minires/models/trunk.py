"""The trunk of a network for small images: what heads stand on instead of its classifier."""

from __future__ import annotations

from typing import Any

from minires import nn
from minires.autograd import Tensor
from minires.nn import sequential

_USED = "conv1", "bn1", "relu", "layer1", "layer2", "layer3"


class Trunk(nn.Module):
    """A backbone without its pooling and its classifier: maps images to each stage's output.

    The layers are the backbone's own, not copies, and keep their names.

    Parameters
    ----------
    backbone : Module
        Such as `cifar_resnet`, pretrained or not: one that has `conv1`, `bn1`, `relu`, `layer1`,
        `layer2` and `layer3`, and of which nothing else but the classifier computes.

    Attributes
    ----------
    channels : (int, int, int)
        Of each stage's output.

    Raises
    ------
    ValueError
        If the backbone has other stages, or they end before their norm and activation, as
        pre-activation ones do.
    TypeError
        If it is no network.

    Examples
    --------
    >>> import minires as mr
    >>> trunk = Trunk(mr.models.cifar_resnet(8, width=4))
    >>> [tuple(stage.shape) for stage in trunk(mr.zeros(1, 3, 32, 32))]
    [(1, 4, 32, 32), (1, 8, 16, 16), (1, 16, 8, 8)]
    """

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        if not isinstance(backbone, nn.Module):
            raise TypeError(
                "Trunk: the backbone is a network, such as mr.models.cifar_resnet(20); found"
                f" {backbone!r}"
            )
        children = {name for name, _ in backbone.named_children()}
        if not children.issuperset(_USED) or children & {"maxpool", "layer4"}:
            raise ValueError(
                f"Trunk: needs a network for small images that consists of {', '.join(_USED)} and a"
                f" classifier, such as cifar_resnet; {type(backbone).__name__} has"
                f" {', '.join(sorted(children))}"
            )
        behind = getattr(backbone, "bn2", nn.Identity())
        if not isinstance(behind, nn.Identity) or getattr(backbone, "active_last", False):
            raise ValueError(
                "Trunk: the backbone's stages end without the norm or activation that it has before"
                " its classifier; take one that is no pre-activation network, such as cifar_resnet"
            )
        self.conv1 = backbone.conv1
        self.bn1 = backbone.bn1
        self.relu = backbone.relu
        self.layer1 = backbone.layer1
        self.layer2 = backbone.layer2
        self.layer3 = backbone.layer3
        self.channels = tuple(map(_channels, (self.layer1, self.layer2, self.layer3)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map images (N, C, H, W) to the stages' outputs; each is half as high and wide."""
        fine = self.layer1(sequential.run([self.conv1, self.bn1, self.relu], x))
        middle = self.layer2(fine)
        return fine, middle, self.layer3(middle)


def _channels(stage: nn.Module) -> int:
    """Return how many channels a stage gives: as many as its last convolution, or projection."""
    return [module for module in stage.modules() if isinstance(module, nn.Conv2d)][-1].out_channels
