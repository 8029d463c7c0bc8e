"""What only the moment knows at which an op runs, and an explanation may need later."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from minires import devices
from minires.autograd import Node, Tensor
from minires.devices import Array

from .readings import Readings

_NORMS = ("batch_norm", "batch_norm_relu", "batch_norm_relu_conv2d")


def take_notes(
    notes: dict[str, float], op: str, inputs: Sequence[Any], node: Node | None, readings: Readings
) -> None:
    """Measure what matters of one op's small arrays.

    Parameters
    ----------
    notes : dict of str to float
        Where to write it down, now or when the readings are settled. For batch norms:
        `gamma_over_sigma`, the median over channels of |weight| / std, which is what the
        normalisation multiplies a gradient by; `gamma` and `std`, the medians of the two, which
        tell what made the quotient so; `gamma_zeros`, the share of weights that are 0;
        `smallest_std`.
    op : str
    inputs : sequence
    node : Node or None
    readings : Readings
    """
    if op in _NORMS and node is not None and node.aux is not None:
        _, variance = node.aux
        weight = inputs[1]
        array = weight._data if isinstance(weight, Tensor) else weight
        arrays = [variance] if array is None else [variance, array]
        use = partial(_of_batch_norm, notes, node.constants.get("eps", 0.0))
        readings.read(devices.of(variance), arrays, use, alive=True)


def _of_batch_norm(
    notes: dict[str, float], eps: float, variance: Array, weight: Array | None = None
) -> None:
    std = (variance.astype("float64") + eps) ** 0.5
    gamma = abs(weight.astype("float64")) if weight is not None else std * 0 + 1
    notes["gamma_over_sigma"] = _median(gamma / std)
    notes["gamma"] = _median(gamma)
    notes["std"] = _median(std)
    notes["gamma_zeros"] = float((gamma == 0).mean()) if len(gamma) else 0.0
    notes["smallest_std"] = float(std.min()) if len(std) else math.nan


def _median(array: Any) -> float:
    """Return a number of the array itself, which a mean of two would not be."""
    ordered = sorted(array.tolist())
    return float(ordered[len(ordered) // 2]) if ordered else math.nan
