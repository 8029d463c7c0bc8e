"""Traces to make pages of: a residual network and its plain twin, small enough for any test."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import minires as mr
from minires.trace import Trace


def recorded(model: Any, images: int = 4, size: int = 8, **options: Any) -> Trace:
    """Record one training step on images of noise."""
    mr.manual_seed(1)
    x = mr.randn(images, 3, size, size)
    with mr.trace.record(model, **{"save": "thumbs", **options}) as trace:
        y = model(x)
        # One label for each image, or for each pixel.
        told = (y.shape[0], *y.shape[2:])
        labels = np.arange(math.prod(told)).reshape(told) % y.shape[1]
        mr.ops.cross_entropy(y, labels).backward()
    return trace


def twins(depth: int = 8, width: int = 4, **options: Any) -> tuple[Trace, Trace]:
    """Record a residual network and its plain twin, which start from the same numbers."""
    traces = []
    for shortcut in ("A", None):
        mr.manual_seed(0)
        model = mr.models.cifar_resnet(depth, shortcut=shortcut, width=width)
        traces.append(recorded(model, **options))
    return traces[0], traces[1]


def two_passes() -> Trace:
    """Record a residual addition with two backward passes, of which the second is twice as large.

    x is what the first pass alone reaches, y what both do, z what the second alone reaches.
    """
    x = mr.tensor([3.0, 4.0], requires_grad=True)
    with mr.trace.record(save="thumbs") as trace:
        y = x * 1.0
        z = mr.ops.residual_add(y, y * 0.5)
        z.sum().backward(retain_graph=True)
        (z * 2.0).sum().backward()
    return trace


def nested() -> Trace:
    """Record a residual addition within another: both part at one value, which has both roles."""
    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record() as trace:
        y = x * 1.0
        inner = mr.ops.residual_add(y, y * 0.5)
        mr.ops.residual_add(y, inner * 3.0).sum().backward()
    return trace


class _Twice(mr.nn.Module):
    """A residual block whose branch holds another addition."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = mr.nn.Linear(3, 3), mr.nn.Linear(3, 3)

    def forward(self, x: mr.Tensor) -> mr.Tensor:
        h = self.first(x)
        return mr.ops.residual_add(x, mr.ops.residual_add(h, self.second(h)))


def adding_twice() -> Trace:
    """Record a block of two additions."""
    mr.manual_seed(0)
    model = mr.nn.Sequential({"stem": mr.nn.Linear(3, 3), "layer1": _Twice()})
    with mr.trace.record(model) as trace:
        model(mr.randn(2, 3)).sum().backward()
    return trace


def gated() -> Trace:
    """Record a residual network whose gates scale both the shortcut and the branch."""
    mr.manual_seed(0)
    model = mr.models.cifar_resnet(8, shortcut="exclusive_gating", width=4)
    return recorded(model, save="summary")


def of_architectures() -> dict[str, Trace]:
    """Record networks whose values are used in every way there is."""
    mr.manual_seed(0)
    segmenter = mr.models.Segmenter(mr.models.cifar_resnet(8, width=4), 3)
    for score in (segmenter.score1, segmenter.score2, segmenter.score3):
        mr.nn.init.normal_(score.weight)  # they begin as 0, and nothing comes back through them
    dense = mr.models.DenseNet(4, (2, 3), stem=8, imagenet=False, num_classes=10)
    return {
        "residual": recorded(mr.models.cifar_resnet(8, width=4), save="summary"),
        "dense": recorded(dense, save="summary"),
        "inception": recorded(
            mr.models.GoogLeNet(width=8, num_classes=10), images=2, size=32, save="summary"
        ),
        "segmenter": recorded(segmenter, save="summary"),
        "gated": gated(),
        "passes": two_passes(),
        "nested": nested(),
        "adding_twice": adding_twice(),
    }


def for_breakpoints() -> dict[str, Trace]:
    """Record what the cases in breakpoint_cases.json are about, by their names there."""
    x = mr.tensor([0.0, 4.0], requires_grad=True)
    with mr.trace.record() as infinite, np.errstate(all="ignore"):
        (mr.ops.sqrt(x * 1.0) * 100.0).sum().backward()
    x = mr.tensor([2.0, 3.0], requires_grad=True)
    with mr.trace.record() as second_order:
        (x * x * x).sum().backward(create_graph=True)
    mr.manual_seed(0)
    residual = recorded(mr.models.cifar_resnet(8, width=4), save="summary")
    return {
        "nested": nested(),
        "passes": two_passes(),
        "infinite": infinite,
        "second": second_order,
        "residual": residual,
    }
