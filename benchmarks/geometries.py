"""Convolutions of many kinds, forward and with backward, beside PyTorch."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

import minires as mr

from .measure import paired

Pair = tuple[int, int]


class Geometry(NamedTuple):
    """A convolution from C to O channels on images of a size (H, W)."""

    name: str
    channels: int
    filters: int
    size: Pair
    kernel: Pair = (3, 3)
    stride: int = 1
    padding: Pair = (1, 1)
    dilation: int = 1
    groups: int = 1

    @property
    def options(self) -> dict[str, Any]:
        """The arguments that both engines' conv2d take."""
        return {name: getattr(self, name) for name in ("stride", "padding", "dilation", "groups")}


GRID = (
    Geometry("3x3", 64, 64, (32, 32)),
    Geometry("3x3 stride 2", 64, 128, (32, 32), stride=2),
    Geometry("1x1", 64, 256, (32, 32), (1, 1), padding=(0, 0)),
    Geometry("1x1 stride 2", 64, 128, (32, 32), (1, 1), stride=2, padding=(0, 0)),
    Geometry("5x5", 32, 64, (28, 28), (5, 5), padding=(2, 2)),
    Geometry("7x7 stride 2, stem", 3, 64, (112, 112), (7, 7), stride=2, padding=(3, 3)),
    Geometry("1x7", 128, 128, (17, 17), (1, 7), padding=(0, 3)),
    Geometry("7x1", 128, 128, (17, 17), (7, 1), padding=(3, 0)),
    Geometry("3x3 dilated 2", 64, 64, (28, 28), padding=(2, 2), dilation=2),
    Geometry("3x3 in 2 groups", 64, 64, (28, 28), groups=2),
    Geometry("3x3 in 4 groups", 64, 64, (28, 28), groups=4),
    Geometry("3x3 in 32 groups", 128, 128, (28, 28), groups=32),
    Geometry("3x3 depthwise", 64, 64, (28, 28), groups=64),
    Geometry("3x3, odd sizes", 33, 65, (31, 29)),
)


def convolution(geometry: Geometry, batch: int, rounds: int) -> dict[str, Any]:
    """Measure one geometry: forward alone, and forward with both gradients.

    minires gets its images as its own layers give them, channels-last; PyTorch gets NCHW.

    Raises
    ------
    RuntimeError
        If the engines' gradients of the weight differ.
    """
    random = np.random.default_rng(0)
    h, w = geometry.size
    images = random.standard_normal((batch, h, w, geometry.channels), np.float32)
    images = images.transpose(0, 3, 1, 2)
    shape = (geometry.filters, geometry.channels // geometry.groups, *geometry.kernel)
    filters = random.standard_normal(shape, np.float32) / 8
    ours = [mr.tensor(array, requires_grad=True) for array in (images, filters)]
    theirs = [
        torch.tensor(array.copy(order="C"), requires_grad=True) for array in (images, filters)
    ]
    mine, its = mr.ops.conv2d, torch.nn.functional.conv2d
    g = mr.ops.ones_like(mine(*ours, **geometry.options).detach())
    torch_g = torch.ones(g.shape)

    def forward(conv: Any, inputs: Any) -> Any:
        def run() -> None:
            with torch.no_grad(), mr.no_grad():
                conv(*inputs, **geometry.options)

        return run

    def both(conv: Any, inputs: Any, g: Any) -> Any:
        def run() -> None:
            for each in inputs:
                each.grad = None
            conv(*inputs, **geometry.options).backward(g)

        return run

    measured = {
        "forward": paired({"minires": forward(mine, ours), "torch": forward(its, theirs)}, rounds),
        "with backward": paired(
            {"minires": both(mine, ours, g), "torch": both(its, theirs, torch_g)}, rounds
        ),
    }
    mistake = np.abs(ours[1].grad.numpy() - theirs[1].grad.numpy()).max()
    if mistake > 1e-3 * np.abs(theirs[1].grad.numpy()).max():
        raise RuntimeError(f"{geometry.name}: the weight's gradient differs by {mistake}")
    return {"geometry": geometry._asdict(), "batch": batch} | measured
