"""Networks: plain/residual twins from one builder, and the architectures they come from.

`create` makes any of them by its name; `list` tells the names, and `summary` their layers.
"""

from __future__ import annotations

from .by_layer import Summary, counts_of, summary
from .cifar import (
    CifarResNet,
    cifar_plain,
    cifar_preact_resnet,
    cifar_resnet,
    is_possible_depth,
    wide_resnet,
)
from .registry import create, input_of, register
from .registry import names as list
from .resnet import ResNet
from .weights import LoadReport, load_weights

__all__ = [
    "CifarResNet",
    "LoadReport",
    "ResNet",
    "Summary",
    "cifar_plain",
    "cifar_preact_resnet",
    "cifar_resnet",
    "counts_of",
    "create",
    "input_of",
    "is_possible_depth",
    "list",
    "load_weights",
    "register",
    "summary",
    "wide_resnet",
]
