"""Modules: layers, containers, residual blocks and their initialisers."""

from __future__ import annotations

from . import init
from .blocks import (
    BasicBlock,
    Bottleneck,
    InvertedResidual,
    PreActBlock,
    PreActBottleneck,
    SeparableBlock,
)
from .containers import Identity, ModuleList, Sequential
from .folding import fold_batch_norm
from .functions import (
    GELU,
    AdaptiveAvgPool2d,
    AvgPool2d,
    CrossEntropyLoss,
    Dropout,
    Flatten,
    LeakyReLU,
    MaxPool2d,
    MSELoss,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
)
from .layers import BatchNorm1d, BatchNorm2d, Conv2d, ConvTranspose2d, Linear, parameter_count
from .module import Module, Parameter
from .residual import NORMS, ORDERS, ResidualBlock
from .scaling import Rescale, SqueezeExcitation
from .shortcuts import (
    SHORTCUTS,
    DropoutShortcut,
    GatedShortcut,
    MeetingShortcut,
    PadShortcut,
    ScaledShortcut,
)
from .split_transform import SplitTransform, split_transform_merge

__all__ = [
    "GELU",
    "NORMS",
    "ORDERS",
    "SHORTCUTS",
    "AdaptiveAvgPool2d",
    "AvgPool2d",
    "BasicBlock",
    "BatchNorm1d",
    "BatchNorm2d",
    "Bottleneck",
    "Conv2d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "Dropout",
    "DropoutShortcut",
    "Flatten",
    "GatedShortcut",
    "Identity",
    "InvertedResidual",
    "LeakyReLU",
    "Linear",
    "MSELoss",
    "MaxPool2d",
    "MeetingShortcut",
    "Module",
    "ModuleList",
    "PadShortcut",
    "Parameter",
    "PreActBlock",
    "PreActBottleneck",
    "ReLU",
    "Rescale",
    "ResidualBlock",
    "ScaledShortcut",
    "SeparableBlock",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "SplitTransform",
    "SqueezeExcitation",
    "Tanh",
    "fold_batch_norm",
    "init",
    "parameter_count",
    "split_transform_merge",
]
