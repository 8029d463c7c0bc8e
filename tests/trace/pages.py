"""Traces to make pages of: a residual network and its plain twin, small enough for any test."""

from __future__ import annotations

from typing import Any

import minires as mr
from minires.trace import Trace


def recorded(model: Any, images: int = 4, size: int = 8, **options: Any) -> Trace:
    """Record one training step on images of noise."""
    mr.manual_seed(1)
    x = mr.randn(images, 3, size, size)
    labels = mr.tensor([i % 10 for i in range(images)])
    with mr.trace.record(model, **{"save": "thumbs", **options}) as trace:
        mr.ops.cross_entropy(model(x), labels).backward()
    return trace


def twins(depth: int = 8, width: int = 4, **options: Any) -> tuple[Trace, Trace]:
    """Record a residual network and its plain twin, which start from the same numbers."""
    traces = []
    for shortcut in ("A", None):
        mr.manual_seed(0)
        model = mr.models.cifar_resnet(depth, shortcut=shortcut, width=width)
        traces.append(recorded(model, **options))
    return traces[0], traces[1]
