"""The option-A network of `minires.models.cifar_resnet`, in PyTorch, under the same names."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from minires.models import CifarResNet

from .steps import numbers_of


class Block(nn.Module):
    """Two 3x3 convolutions with BatchNorm, and a shortcut that has no parameters."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride, self.extra = stride, channels - before

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map x (N, before, H, W) to (N, channels, H/stride, W/stride)."""
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        if self.extra:
            front = self.extra // 2
            x = functional.pad(x, (0, 0, 0, 0, front, self.extra - front))
        return functional.relu(x + out)


class TorchResNet(nn.Module):
    """Depth 6n + 2, widths 16, 32 and 64."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        blocks = (depth - 2) // 6
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(
                Block(before, channels, stride),
                *(Block(channels, channels, 1) for _ in range(blocks - 1)),
            )
            for before, channels, stride in ((16, 16, 1), (16, 32, 2), (32, 64, 2))
        )
        self.fc = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (N, 3, H, W) to logits (N, 10)."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


def torch_twin(model: CifarResNet) -> TorchResNet:
    """Return the same network in PyTorch, with the same number in every parameter and buffer."""
    twin = TorchResNet(model.depth)
    state = {name: torch.tensor(value) for name, value in numbers_of(model).items()}
    twin.load_state_dict(state)
    return twin
