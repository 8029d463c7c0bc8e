"""The networks that torchvision has not, stated in PyTorch's functions.

Each takes weights by name, as `state_dict` names them, and images; batch normalisation is that of
training. Nothing here comes from minires.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
F = torch.nn.functional

Weights = Mapping[str, Any]

DENSE_LAYERS = 4  # of each of DenseNet's three blocks


def conv(w: Weights, name: str, x: Any, **geometry: Any) -> Any:
    return F.conv2d(x, w[f"{name}.weight"], w.get(f"{name}.bias"), **geometry)


def norm(w: Weights, name: str, x: Any, eps: float = 1e-5) -> Any:
    scale, shift = w[f"{name}.weight"], w[f"{name}.bias"]
    return F.batch_norm(x, None, None, scale, shift, training=True, eps=eps)


def unit(w: Weights, name: str, x: Any, **geometry: Any) -> Any:
    """Convolution, batch normalisation where there is one, ReLU."""
    x = conv(w, f"{name}.conv", x, **geometry)
    return (norm(w, f"{name}.bn", x, eps=1e-3) if f"{name}.bn.weight" in w else x).relu()


def activated_conv(w: Weights, name: str, number: str, x: Any, **geometry: Any) -> Any:
    """Batch normalisation, ReLU, convolution."""
    x = norm(w, f"{name}.norm{number}", x).relu()
    return conv(w, f"{name}.conv{number}", x, **geometry)


def linear(w: Weights, name: str, x: Any) -> Any:
    return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])


def lrn(x: Any) -> Any:
    """The paper's alpha multiplies the sum of the window, PyTorch's its mean."""
    return F.local_response_norm(x, 5, alpha=5 * 1e-4, beta=0.75, k=2.0)


def alexnet_2012(w: Weights, x: Any) -> Any:
    x = F.max_pool2d(lrn(conv(w, "features.0", x, stride=4).relu()), 3, 2)
    x = F.max_pool2d(lrn(conv(w, "features.4", x, padding=2, groups=2).relu()), 3, 2)
    x = conv(w, "features.8", x, padding=1).relu()
    x = conv(w, "features.10", x, padding=1, groups=2).relu()
    x = F.max_pool2d(conv(w, "features.12", x, padding=1, groups=2).relu(), 3, 2)
    x = linear(w, "classifier.0", x.flatten(1)).relu()
    x = linear(w, "classifier.3", x).relu()
    return linear(w, "classifier.6", x)


def vgg11_lrn(w: Weights, x: Any) -> Any:
    x = F.max_pool2d(lrn(conv(w, "features.0", x, padding=1).relu()), 2)
    x = F.max_pool2d(conv(w, "features.4", x, padding=1).relu(), 2)
    for first, second in ((7, 9), (12, 14), (17, 19)):
        x = conv(w, f"features.{first}", x, padding=1).relu()
        x = F.max_pool2d(conv(w, f"features.{second}", x, padding=1).relu(), 2)
    x = F.adaptive_avg_pool2d(x, 7).flatten(1)
    x = linear(w, "classifier.0", x).relu()
    x = linear(w, "classifier.3", x).relu()
    return linear(w, "classifier.6", x)


def googlenet_5x5_bn(w: Weights, x: Any) -> Any:
    logits, *_ = googlenet(w, x, lambda x: x, last_pool=2)
    return logits


def googlenet_2014(w: Weights, x: Any) -> tuple[Any, ...]:
    """Logits, and those of the two heads, the later one first."""
    logits, x_4d, x_4a = googlenet(w, x, lrn, last_pool=3)
    return logits, googlenet_head(w, "aux2", x_4d), googlenet_head(w, "aux1", x_4a)


def googlenet(w: Weights, x: Any, normalised: Any, last_pool: int) -> tuple[Any, Any, Any]:
    """Logits, and the outputs of modules 4d and 4a."""

    def inception(name: str, x: Any) -> Any:
        name = f"inception{name}"
        branches = (
            unit(w, f"{name}.branch1", x),
            unit(w, f"{name}.branch2.1", unit(w, f"{name}.branch2.0", x), padding=1),
            unit(w, f"{name}.branch3.1", unit(w, f"{name}.branch3.0", x), padding=2),
            unit(w, f"{name}.branch4.1", F.max_pool2d(x, 3, stride=1, padding=1)),
        )
        return torch.cat(branches, 1)

    def pool(x: Any, kernel_size: int = 3) -> Any:
        return F.max_pool2d(x, kernel_size, 2, ceil_mode=True)

    x = normalised(pool(unit(w, "conv1", x, stride=2, padding=3)))
    x = pool(normalised(unit(w, "conv3", unit(w, "conv2", x), padding=1)))
    x = pool(inception("3b", inception("3a", x)))
    x_4a = inception("4a", x)
    x_4d = inception("4d", inception("4c", inception("4b", x_4a)))
    x = pool(inception("4e", x_4d), last_pool)
    x = inception("5b", inception("5a", x))
    return linear(w, "fc", x.mean((2, 3))), x_4d, x_4a


def googlenet_head(w: Weights, name: str, x: Any) -> Any:
    x = unit(w, f"{name}.conv", F.avg_pool2d(x, 5, 3)).flatten(1)
    return linear(w, f"{name}.fc2", linear(w, f"{name}.fc1", x).relu())


def densenet(w: Weights, x: Any) -> Any:
    return _densenet(w, x, lambda name, x: activated_conv(w, name, "1", x, padding=1))


def densenet_bc(w: Weights, x: Any) -> Any:
    def layer(name: str, x: Any) -> Any:
        return activated_conv(w, name, "2", activated_conv(w, name, "1", x), padding=1)

    return _densenet(w, x, layer)


def _densenet(w: Weights, x: Any, layer: Any) -> Any:
    x = conv(w, "features.conv0", x, padding=1)
    for block in (1, 2, 3):
        for number in range(1, DENSE_LAYERS + 1):
            x = torch.cat([x, layer(f"features.denseblock{block}.denselayer{number}", x)], 1)
        if block < 3:
            x = F.avg_pool2d(activated_conv(w, f"features.transition{block}", "", x), 2)
    x = norm(w, "features.norm4", x).relu()
    return linear(w, "classifier", x.mean((2, 3)))
