"""Differentiable functions: each one's forward and vector-Jacobian product side by side."""

from __future__ import annotations

from .activations import gelu, leaky_relu, log_softmax, relu, relu6, sigmoid, softmax
from .adaptive_pooling import adaptive_avg_pool2d, adaptive_max_pool2d
from .arithmetic import (
    add,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    div,
    equal,
    floor_div,
    greater,
    greater_equal,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    minimum,
    mul,
    neg,
    not_equal,
    pow,
    remainder,
    sub,
    where,
)
from .broadcasting import broadcast_to, expand, sum, unbroadcast
from .collective import all_reduce
from .conv import conv2d, conv_transpose2d
from .conv_relu import conv2d_relu
from .creation import (
    arange,
    eye,
    full,
    is_device,
    ones,
    ones_like,
    rand,
    randn,
    tensor,
    to,
    zeros,
    zeros_like,
)
from .elementary import abs, clip, cos, erf, exp, isfinite, isnan, log, sign, sin, sqrt, tanh
from .indexing import getitem
from .joining import cat, concatenate, pad, stack
from .linalg import einsum, linear, matmul
from .local_response import local_response_norm
from .losses import cross_entropy, mse_loss
from .methods import attach
from .noise import dropout, dropout2d, stochastic_depth
from .norm import batch_norm, batch_norm_relu
from .pooling import avg_pool2d, max_pool2d
from .recomputed import batch_norm_relu_conv2d
from .reductions import all, any, logsumexp, mean, std, var
from .resampling import interpolate
from .residual import residual_add
from .selection import amax, amin, argmax, argmin, gather, max, min
from .shapes import cast, clone, flatten, flip, permute, reshape, squeeze, transpose, unsqueeze
from .sync_norm import sync_batch_norm
from .windows import col2im, im2col

attach()

__all__ = [
    "abs",
    "adaptive_avg_pool2d",
    "adaptive_max_pool2d",
    "add",
    "all",
    "all_reduce",
    "amax",
    "amin",
    "any",
    "arange",
    "argmax",
    "argmin",
    "avg_pool2d",
    "batch_norm",
    "batch_norm_relu",
    "batch_norm_relu_conv2d",
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
    "broadcast_to",
    "cast",
    "cat",
    "clip",
    "clone",
    "col2im",
    "concatenate",
    "conv2d",
    "conv2d_relu",
    "conv_transpose2d",
    "cos",
    "cross_entropy",
    "div",
    "dropout",
    "dropout2d",
    "einsum",
    "equal",
    "erf",
    "exp",
    "expand",
    "eye",
    "flatten",
    "flip",
    "floor_div",
    "full",
    "gather",
    "gelu",
    "getitem",
    "greater",
    "greater_equal",
    "im2col",
    "interpolate",
    "is_device",
    "isfinite",
    "isnan",
    "leaky_relu",
    "less",
    "less_equal",
    "linear",
    "local_response_norm",
    "log",
    "log_softmax",
    "logical_and",
    "logical_not",
    "logical_or",
    "logsumexp",
    "matmul",
    "max",
    "max_pool2d",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mse_loss",
    "mul",
    "neg",
    "not_equal",
    "ones",
    "ones_like",
    "pad",
    "permute",
    "pow",
    "rand",
    "randn",
    "relu",
    "relu6",
    "remainder",
    "reshape",
    "residual_add",
    "sigmoid",
    "sign",
    "sin",
    "softmax",
    "sqrt",
    "squeeze",
    "stack",
    "std",
    "stochastic_depth",
    "sub",
    "sum",
    "sync_batch_norm",
    "tanh",
    "tensor",
    "to",
    "transpose",
    "unbroadcast",
    "unsqueeze",
    "var",
    "where",
    "zeros",
    "zeros_like",
]
