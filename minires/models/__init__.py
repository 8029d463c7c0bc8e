"""Networks: plain/residual twins from one builder, and the architectures they come from.

`create` makes any of them by its name; `list` tells the names.
"""

from __future__ import annotations

from .center_point import CenterMaps, CenterPointDetector, Detections, find_objects
from .cifar import (
    CifarResNet,
    cifar_plain,
    cifar_preact_resnet,
    cifar_resnet,
    is_possible_depth,
    wide_resnet,
)
from .detection_loss import center_point_loss, center_targets, heat_loss
from .registry import create, input_of, register
from .registry import names as list
from .resnet import ResNet
from .segmenter import Segmenter, bilinear_
from .trunk import Trunk

__all__ = [
    "CenterMaps",
    "CenterPointDetector",
    "CifarResNet",
    "Detections",
    "ResNet",
    "Segmenter",
    "Trunk",
    "bilinear_",
    "center_point_loss",
    "center_targets",
    "cifar_plain",
    "cifar_preact_resnet",
    "cifar_resnet",
    "create",
    "find_objects",
    "heat_loss",
    "input_of",
    "is_possible_depth",
    "list",
    "register",
    "wide_resnet",
]
