"""Modules: layers, containers, residual blocks and their initialisers."""

from __future__ import annotations

from . import init, utils
from .blocks import (
    BasicBlock,
    Bottleneck,
    InvertedResidual,
    PreActBlock,
    PreActBottleneck,
    SeparableBlock,
)
from .checkpointing import checkpoint, checkpoint_blocks
from .containers import Identity, ModuleList
from .folding import fold_batch_norm
from .functions import (
    GELU,
    CrossEntropyLoss,
    Flatten,
    LeakyReLU,
    LocalResponseNorm,
    MSELoss,
    ReLU,
    ReLU6,
    Sigmoid,
    Softmax,
    Tanh,
)
from .layers import BatchNorm1d, BatchNorm2d, Conv2d, ConvTranspose2d, Linear, parameter_count
from .module import Module, Parameter
from .noise import Dropout, Dropout2d, StochasticDepth
from .pooling import AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d, Upsample
from .residual import NORMS, ORDERS, ResidualBlock
from .scaling import Rescale, SqueezeExcitation
from .sequential import Sequential
from .shortcuts import (
    SHORTCUTS,
    DropoutShortcut,
    GatedShortcut,
    MeetingShortcut,
    PadShortcut,
    ScaledShortcut,
)
from .split_transform import SplitTransform, split_transform_merge
from .sync_batch_norm import SyncBatchNorm, convert_sync_batchnorm

__all__ = [
    "GELU",
    "NORMS",
    "ORDERS",
    "SHORTCUTS",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "AvgPool2d",
    "BasicBlock",
    "BatchNorm1d",
    "BatchNorm2d",
    "Bottleneck",
    "Conv2d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout2d",
    "DropoutShortcut",
    "Flatten",
    "GatedShortcut",
    "Identity",
    "InvertedResidual",
    "LeakyReLU",
    "Linear",
    "LocalResponseNorm",
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
    "ReLU6",
    "Rescale",
    "ResidualBlock",
    "ScaledShortcut",
    "SeparableBlock",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "SplitTransform",
    "SqueezeExcitation",
    "StochasticDepth",
    "SyncBatchNorm",
    "Tanh",
    "Upsample",
    "checkpoint",
    "checkpoint_blocks",
    "convert_sync_batchnorm",
    "fold_batch_norm",
    "init",
    "parameter_count",
    "split_transform_merge",
    "utils",
]
