"""Operators that make images larger or smaller.

ONNX knows more ways to say where a new pixel lies, and which one is nearest to it; minires has
PyTorch's. What they share is said here, the rest refused.
"""

from __future__ import annotations

from typing import Any

import minires as mr
from minires import ops

from .node import Adapter, Node, integers, refuse


def _upsample(node: Node, x: mr.Tensor, scales: mr.Tensor) -> mr.Tensor:
    factors = scales.tolist()
    if node["mode"] != "nearest" or factors[:2] != [1, 1]:
        refuse("other than the nearest pixels, or along N or C")
    return ops.interpolate(x, scale_factor=tuple(factors[2:]))


def _resize(
    node: Node, x: mr.Tensor, roi: Any = None, scales: Any = None, sizes: Any = None
) -> mr.Tensor:
    axes = node["axes"] or range(x.ndim)
    if scales is not None:
        given = dict(zip(axes, scales.tolist(), strict=True))
    else:
        wanted = zip(axes, integers(sizes) or (), strict=True)
        given = {axis: size / x.shape[axis] for axis, size in wanted}
    factors = tuple(given.get(axis, 1.0) for axis in range(4))
    if x.ndim != 4 or factors[:2] != (1, 1):
        refuse("along other axes than rows and columns")
    mode, places = node["mode"], node["coordinate_transformation_mode"]
    if mode == "nearest":
        # Places half a pixel further and a tie to the lower one: it agrees where factors are whole.
        rule = places, node["nearest_mode"]
        if rule != ("half_pixel", "round_prefer_floor") or not all(map(_is_whole, factors)):
            refuse("another pixel than the one that a new pixel begins in")
        return ops.interpolate(x, scale_factor=factors[2:])
    lengths = [n * f for n, f in zip(x.shape[2:], factors[2:], strict=True)]
    if mode != "linear" or places not in ("half_pixel", "align_corners"):
        refuse(f"{mode} with places {places}")
    corners = places == "align_corners"
    if corners and not all(map(_is_whole, lengths)):
        refuse("corners of a part of a pixel")
    return ops.interpolate(x, None, factors[2:], "bilinear", corners)


def _is_whole(number: float) -> bool:
    return number == int(number)


OPERATORS: dict[str, Adapter] = {"Resize": _resize, "Upsample": _upsample}
