"""Real residual networks, small enough to plant faults in many of them."""

from __future__ import annotations

from typing import Any

import numpy as np

import minires as mr
from minires import nn

STAGES = 3


class PreActNet(nn.Module):
    """Stem, three stages of pre-activation blocks, a last norm and ReLU, and one linear layer."""

    def __init__(self, blocks: int, shortcut: str | None, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        channels = width
        for stage in range(STAGES):
            wide = width * 2**stage
            layer = [
                nn.PreActBlock(
                    channels if block == 0 else wide,
                    wide,
                    2 if stage and not block else 1,
                    shortcut,
                )
                for block in range(blocks)
            ]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layer))
            channels = wide
        self.bn = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.fc = nn.Linear(channels, 10)

    def forward(self, x: mr.Tensor) -> mr.Tensor:
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.fc(mr.ops.mean(self.relu(self.bn(x)), (2, 3)))


def network(
    kind: str = "basic",
    blocks: int = 1,
    shortcut: str | None = "B",
    seed: int = 0,
    norms: bool = True,
    dtype: str = "float32",
) -> nn.Module:
    """A network of basic or pre-activation blocks, with or without BatchNorm."""
    mr.manual_seed(seed)
    model: Any
    if kind == "basic":
        model = mr.models.cifar_resnet(6 * blocks + 2, shortcut=shortcut, width=4)
    else:
        model = PreActNet(blocks, shortcut, width=4)
    if not norms:
        for module in list(model.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, nn.BatchNorm2d):
                    setattr(module, name, nn.Identity())
    return model.to(dtype)


def block_of(model: nn.Module, stage: int, number: int) -> tuple[str, Any]:
    """A block's path and the block."""
    path = f"layer{stage + 1}.{number}"
    return path, model.get_submodule(path)


def batch(seed: int = 0, dtype: str = "float32", count: int = 4) -> tuple[mr.Tensor, mr.Tensor]:
    """Images and labels."""
    rng = np.random.default_rng(seed)
    return (
        mr.tensor(rng.standard_normal((count, 3, 8, 8)).astype(dtype)),
        mr.tensor(rng.integers(0, 10, count)),
    )


def recorded(
    model: nn.Module, seed: int = 0, dtype: str = "float32", backward: bool = True, **options: Any
) -> mr.trace.Trace:
    """A trace of one training step."""
    x, y = batch(seed, dtype)
    with mr.trace.record(model, **options) as trace:
        loss = mr.ops.cross_entropy(model(x), y)
        if backward:
            loss.backward()
    return trace
