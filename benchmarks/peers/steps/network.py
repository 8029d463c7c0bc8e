"""The one network that every peer runs: the CIFAR ResNet-20 of He et al. 2015, shortcut A.

minires runs its own `models.cifar_resnet(20)`, so that equal losses check this description too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Small, so that rounding, which a network in training magnifies, stays rounding for 20 steps.
LEARNING_RATE = 0.01
MOMENTUM = 0.9
EPS = 1e-5
DECAY = 0.9  # of BatchNorm's running statistics

BLOCKS = tuple(
    (f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1)
    for stage in (1, 2, 3)
    for block in (0, 1, 2)
)


def features(
    x: Any,
    conv: Callable[[str, Any, int], Any],
    norm: Callable[[str, Any], Any],
    relu: Callable[[Any], Any],
    shortcut: Callable[[Any], Any],
) -> Any:
    """Map images (N, 3, 32, 32) to features (N, 64, 8, 8), in a framework's own operations.

    Parameters
    ----------
    x : array of the framework
    conv : callable
        (name, x, stride) to the 3x3 convolution with padding 1 and the weight ``name.weight``.
    norm : callable
        (name, x) to BatchNorm with ``name.weight`` and ``name.bias``.
    relu : callable
    shortcut : callable
        x (N, C, H, W) to (N, 2C, H/2, W/2): every second pixel, with zero channels on both sides.
    """
    x = relu(norm("bn1", conv("conv1", x, 1)))
    for block, stride in BLOCKS:
        branch = relu(norm(f"{block}.bn1", conv(f"{block}.conv1", x, stride)))
        branch = norm(f"{block}.bn2", conv(f"{block}.conv2", branch, 1))
        x = relu(branch + (x if stride == 1 else shortcut(x)))
    return x


def parameters(weights: dict[str, Any]) -> dict[str, Any]:
    """Return the entries that are learned: BatchNorm's statistics are not."""
    return {name: a for name, a in weights.items() if name.endswith(("weight", "bias"))}
