"""Modules: layers, containers, residual blocks and their initialisers."""

from __future__ import annotations

from . import init
from .blocks import BasicBlock, Bottleneck, PadShortcut, PreActBlock, PreActBottleneck
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

__all__ = [
    "GELU",
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
    "Flatten",
    "Identity",
    "LeakyReLU",
    "Linear",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "ModuleList",
    "PadShortcut",
    "Parameter",
    "PreActBlock",
    "PreActBottleneck",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "fold_batch_norm",
    "init",
    "parameter_count",
]
