"""Networks: plain/residual twins from one builder, and the architectures they come from.

`create` makes any of them by its name; `list` tells the names, and `summary` their layers.
"""

from __future__ import annotations

from .alexnet import AlexNet
from .by_layer import Summary, counts_of, summary
from .center_point import CenterMaps, CenterPointDetector, Detections, find_objects
from .cifar import (
    CifarResNet,
    cifar_plain,
    cifar_preact_resnet,
    cifar_resnet,
    is_possible_depth,
    wide_resnet,
)
from .densenet import DenseNet
from .detection_loss import center_point_loss, center_targets, heat_loss
from .googlenet import GoogLeNet, GoogLeNetOutputs
from .heads import total_loss
from .inception import Inception3, InceptionOutputs
from .registry import create, input_of, register
from .registry import names as list
from .resnet import ResNet
from .segmenter import Segmenter, bilinear_
from .trunk import Trunk
from .vgg import VGG
from .weights import LoadReport, Pretrained, load_weights, pretrained

__all__ = [
    "VGG",
    "AlexNet",
    "CenterMaps",
    "CenterPointDetector",
    "CifarResNet",
    "DenseNet",
    "Detections",
    "GoogLeNet",
    "GoogLeNetOutputs",
    "Inception3",
    "InceptionOutputs",
    "LoadReport",
    "Pretrained",
    "ResNet",
    "Segmenter",
    "Summary",
    "Trunk",
    "bilinear_",
    "center_point_loss",
    "center_targets",
    "cifar_plain",
    "cifar_preact_resnet",
    "cifar_resnet",
    "counts_of",
    "create",
    "find_objects",
    "heat_loss",
    "input_of",
    "is_possible_depth",
    "list",
    "load_weights",
    "pretrained",
    "register",
    "summary",
    "total_loss",
    "wide_resnet",
]
