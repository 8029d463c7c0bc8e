"""torchvision's own networks: whole, or narrower than it offers them."""

from __future__ import annotations

import functools
import importlib
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")

CLASSES = 7  # no hidden layer has so few: what has 7 is the last one


@functools.cache
def models() -> Any:
    """The module torchvision.models; without it, the test that asks is skipped."""
    try:
        return importlib.import_module("torchvision.models")
    except ImportError:
        pytest.skip("torchvision is the oracle")
    except RuntimeError:
        # Its compiled part was made for CUDA and does not load beside a PyTorch for CPUs. No
        # network needs it, but the import asks for two of its ops.
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
        return importlib.import_module("torchvision.models")


def whole(name: str, **options: Any) -> Any:
    """A network at full size; its tensors have shapes and no values yet."""
    with torch.device("meta"):
        return getattr(models(), name)(**options)


def narrow(name: str, factor: int, **options: Any) -> Any:
    """A network with a factor-th of all channels but the image's 3 and the `CLASSES`."""

    def scaled(channels: int) -> int:
        return channels if channels in (3, CLASSES) else channels // factor

    class Conv2d(torch.nn.Conv2d):
        def __init__(self, taken: int, made: int, *rest: Any, **more: Any) -> None:
            super().__init__(scaled(taken), scaled(made), *rest, **more)

    class Linear(torch.nn.Linear):
        def __init__(self, taken: int, made: int) -> None:
            super().__init__(scaled(taken), scaled(made))

    class BatchNorm2d(torch.nn.BatchNorm2d):
        def __init__(self, channels: int, **more: Any) -> None:
            super().__init__(scaled(channels), **more)

    build = getattr(models(), name)
    with pytest.MonkeyPatch.context() as patch:
        for layer in (Conv2d, Linear, BatchNorm2d):
            patch.setattr(torch.nn, layer.__name__, layer)
        return build(num_classes=CLASSES, **options)
