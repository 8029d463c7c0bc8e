"""Small networks of every kind that a gradient is taken apart in, and one recorded step of each."""

from __future__ import annotations

from typing import Any

import numpy as np

import minires as mr
from minires import nn, ops

BLOCKS = {
    "basic": nn.BasicBlock,
    "bottleneck": nn.Bottleneck,
    "pre-activation": nn.PreActBlock,
    "pre-activation bottleneck": nn.PreActBottleneck,
}


class Stack(nn.Module):
    """Residual blocks, the middle one with a change of shape; mean and a linear layer on top."""

    def __init__(self, kind: str, shortcut: str | None, norm: bool = True, blocks: int = 3) -> None:
        super().__init__()
        block, width = BLOCKS[kind], 4
        made, channels = [], width
        for number in range(blocks):
            stride = 2 if number == 1 else 1
            made.append(block(channels, width * stride, stride, shortcut))
            width *= stride
            channels = width * block.expansion
        self.blocks = nn.Sequential(*made)
        self.fc = nn.Linear(channels, 3)
        if not norm:
            _without_norms(self)

    def forward(self, x: Any) -> Any:
        return self.fc(ops.mean(self.blocks(x), (2, 3)))


def _without_norms(module: Any) -> None:
    for child in list(module.modules()):
        for name, part in list(child.named_children()):
            if isinstance(part, nn.BatchNorm2d):
                setattr(child, name, nn.Identity())


class DenseLayer(nn.Module):
    """concat(x, f(x)), as in DenseNet."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.conv = nn.Conv2d(channels, growth, 3, padding=1, bias=False)

    def forward(self, x: Any) -> Any:
        return mr.concatenate([x, self.conv(self.relu(self.norm(x)))], 1)


class Inception(nn.Module):
    """Four ways from one input, concatenated."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.ways = nn.ModuleList(
            [nn.Conv2d(channels, 2, size, padding=size // 2) for size in (1, 3, 5)]
        )
        self.pool = nn.Conv2d(channels, 2, 1)

    def forward(self, x: Any) -> Any:
        pooled = self.pool(ops.max_pool2d(x, 3, 1, 1))
        return mr.concatenate([*(way(x) for way in self.ways), pooled], 1)


class Head(nn.Module):
    """Any body, mean, linear."""

    def __init__(self, *body: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, x: Any) -> Any:
        return ops.mean(self.body(x), (2, 3))


def images(channels: int = 4, size: int = 6, dtype: str = "float64", seed: int = 1) -> Any:
    """A batch (3, channels, size, size) that requires a gradient."""
    values = np.random.default_rng(seed).standard_normal((3, channels, size, size))
    return mr.tensor(values.astype(dtype), requires_grad=True)


def made(model: nn.Module, dtype: str = "float64", seed: int = 0) -> nn.Module:
    """The model in another dtype, with batch norms that are not all ones and zeros."""
    random = np.random.default_rng(seed)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            shift = 1.0 if name.endswith("weight") else 0.0
            parameter.data = (random.standard_normal(parameter.shape) * 0.3 + shift).astype(
                parameter.dtype
            )
    return model.to(dtype)


def recorded(model: nn.Module, x: Any, **options: Any) -> Any:
    """Record one step: forward, a loss with a random cotangent, backward."""
    with mr.trace.record(model, **options) as trace:
        y = model(x)
        y.backward(cotangent(y))
    return trace


def cotangent(y: Any) -> Any:
    values = np.random.default_rng(5).standard_normal(y.shape)
    return mr.tensor(values.astype(y.dtype))
