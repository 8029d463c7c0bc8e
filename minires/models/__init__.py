"""Networks: plain/residual twins from one builder."""

from __future__ import annotations

from .cifar import CifarResNet, cifar_plain, cifar_resnet, is_possible_depth
from .weights import LoadReport, load_weights

__all__ = [
    "CifarResNet",
    "LoadReport",
    "cifar_plain",
    "cifar_resnet",
    "is_possible_depth",
    "load_weights",
]
