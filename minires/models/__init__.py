"""Networks: plain/residual twins from one builder."""

from __future__ import annotations

from .cifar import CifarResNet, cifar_plain, cifar_resnet, is_possible_depth

__all__ = ["CifarResNet", "cifar_plain", "cifar_resnet", "is_possible_depth"]
