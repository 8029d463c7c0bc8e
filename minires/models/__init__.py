"""Networks: plain/residual twins from one builder, and the architectures they come from.

`create` makes any of them by its name; `list` tells the names.
"""

from __future__ import annotations

from .alexnet import AlexNet
from .cifar import (
    CifarResNet,
    cifar_plain,
    cifar_preact_resnet,
    cifar_resnet,
    is_possible_depth,
    wide_resnet,
)
from .densenet import DenseNet
from .googlenet import GoogLeNet, GoogLeNetOutputs
from .heads import total_loss
from .inception import Inception3, InceptionOutputs
from .registry import create, input_of, register
from .registry import names as list
from .resnet import ResNet
from .vgg import VGG
from .weights import LoadReport, load_weights

__all__ = [
    "VGG",
    "AlexNet",
    "CifarResNet",
    "DenseNet",
    "GoogLeNet",
    "GoogLeNetOutputs",
    "Inception3",
    "InceptionOutputs",
    "LoadReport",
    "ResNet",
    "cifar_plain",
    "cifar_preact_resnet",
    "cifar_resnet",
    "create",
    "input_of",
    "is_possible_depth",
    "list",
    "load_weights",
    "register",
    "total_loss",
    "wide_resnet",
]
