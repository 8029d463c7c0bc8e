"""What only the moment knows at which an op runs, and an explanation may need later."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minires import devices
from minires.autograd import Node, Tensor

_NORMS = ("batch_norm", "batch_norm_relu", "batch_norm_relu_conv2d")


def notes_of(op: str, inputs: Sequence[Any], node: Node | None) -> dict[str, float]:
    """Measure what matters of one op's small arrays.

    Returns
    -------
    dict of str to float
        For batch norms: `gamma_over_sigma`, the median over channels of |weight| / std, which is
        what the normalisation multiplies a gradient by; `gamma` and `std`, the medians of the two,
        which tell what made the quotient so; `gamma_zeros`, the share of weights that are 0;
        `smallest_std`.
    """
    if op in _NORMS and node is not None and node.aux is not None:
        return _of_batch_norm(inputs, node)
    return {}


def _of_batch_norm(inputs: Sequence[Any], node: Node) -> dict[str, float]:
    _, variance = node.aux
    host = devices.of(variance).to_numpy
    std = (host(variance).astype("float64") + node.constants.get("eps", 0.0)) ** 0.5
    weight = inputs[1]
    array = weight._data if isinstance(weight, Tensor) else weight
    gamma = abs(host(array).astype("float64")) if array is not None else std * 0 + 1
    return {
        "gamma_over_sigma": _median(gamma / std),
        "gamma": _median(gamma),
        "std": _median(std),
        "gamma_zeros": float((gamma == 0).mean()) if len(gamma) else 0.0,
        "smallest_std": float(std.min()) if len(std) else math.nan,
    }


def _median(array: Any) -> float:
    """Return a number of the array itself, which a mean of two would not be."""
    ordered = sorted(array.tolist())
    return float(ordered[len(ordered) // 2]) if ordered else math.nan
