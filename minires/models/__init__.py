"""Networks: plain/residual twins from one builder."""

from __future__ import annotations

from .cifar import CifarResNet, cifar_plain, cifar_resnet

__all__ = ["CifarResNet", "cifar_plain", "cifar_resnet"]
