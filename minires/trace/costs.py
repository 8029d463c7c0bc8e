"""Estimates of what an op costs: operations on numbers, and bytes read and written.

One multiplication or one addition counts as one. Elementwise ops count one per element of their
output; a few that do more have a figure of their own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from minires.models.counting import MACS

Shape = tuple[int, ...]

# Per element of the output (of the input, for reductions): what the formula takes.
_PER_ELEMENT = {
    "batch_norm": 8,
    "batch_norm_relu": 10,
    "sync_batch_norm": 8,
    "layer_norm": 8,
    "group_norm": 8,
    "softmax": 5,
    "log_softmax": 5,
    "cross_entropy": 6,
    "gelu": 8,
    "local_response_norm": 10,
    "sigmoid": 4,
    "tanh": 4,
}

# These only move or rename numbers.
_FREE = {"broadcast_to", "cast", "clone", "concatenate", "flip", "gather", "getitem", "im2col"}
_FREE |= {"pad", "permute", "pick", "putitem", "reshape"}

# These are a convolution and what is fused with it.
_CONVOLUTIONS = "conv2d_relu", "batch_norm_relu_conv2d"


def flops_of(op: str, operands: Sequence[Shape | None], output: Shape) -> int:
    """Estimate how many multiplications and additions a forward takes.

    Parameters
    ----------
    op : str
    operands : sequence of shape or None
        The inputs' shapes; None for numbers.
    output : shape
    """
    size = math.prod(output)
    weights = [shape for shape in operands[1:] if shape is not None and len(shape) >= 2]
    products = MACS.get("conv2d" if op in _CONVOLUTIONS else op)
    if products is not None and operands[0] and weights:
        norm = 10 * math.prod(operands[0]) if op == "batch_norm_relu_conv2d" else 0
        return 2 * products((operands[0], weights[0]), output) + norm
    if op == "matmul" and operands[0]:
        return 2 * size * operands[0][-1]
    if op in _FREE:
        return 0
    largest = max([size, *(math.prod(shape) for shape in operands if shape is not None)])
    return _PER_ELEMENT.get(op, 1) * largest


def vjp_flops(forward: int, op: str, slots: Sequence[int]) -> int:
    """Estimate what a VJP takes: a product is done once for each factor's gradient needed."""
    if op in (*MACS, "conv2d_relu", "matmul"):
        return forward * sum(slot < 2 for slot in slots)
    return 2 * forward if op == "batch_norm_relu_conv2d" else forward
