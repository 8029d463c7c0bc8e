"""Operators that move values, pick some of them, or make new ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx

import minires as mr
from minires import ops

from .node import Adapter, Node, integers, plain, refuse


def _reshape(node: Node, x: mr.Tensor, shape: mr.Tensor) -> mr.Tensor:
    lengths = integers(shape) or ()
    if not node["allowzero"]:
        lengths = tuple(n or x.shape[axis] for axis, n in enumerate(lengths))
    return ops.reshape(x, lengths)


def _flatten(node: Node, x: mr.Tensor) -> mr.Tensor:
    """To a matrix: the axes before `axis` are its rows, the others its columns."""
    axis = node["axis"] if node["axis"] >= 0 else node["axis"] + x.ndim
    if axis in (0, x.ndim):
        return ops.unsqueeze(ops.flatten(x), 0 if axis == 0 else 1)
    return ops.flatten(ops.flatten(x, axis, -1), 0, axis - 1)


def _transpose(node: Node, x: mr.Tensor) -> mr.Tensor:
    return ops.permute(x, tuple(node["perm"] or reversed(range(x.ndim))))


def _squeeze(node: Node, x: mr.Tensor, axes: mr.Tensor | None = None) -> mr.Tensor:
    return ops.squeeze(x, integers(axes) if axes is not None else node["axes"])


def _unsqueeze(node: Node, x: mr.Tensor, axes: mr.Tensor | None = None) -> mr.Tensor:
    given = integers(axes) if axes is not None else node["axes"]
    for axis in sorted(a % (x.ndim + len(given)) for a in given):
        x = ops.unsqueeze(x, axis)
    return x


def _expand(node: Node, x: mr.Tensor, shape: mr.Tensor) -> mr.Tensor:
    # ONNX lets either of the two shapes have the ones.
    return ops.broadcast_to(x, np.broadcast_shapes(x.shape, integers(shape) or ()))


def _concat(node: Node, *inputs: mr.Tensor) -> mr.Tensor:
    return ops.concatenate(inputs, node["axis"])


def _split(node: Node, x: mr.Tensor, lengths: mr.Tensor | None = None) -> Any:
    axis, parts = node["axis"] % x.ndim, node["num_outputs"] or node.outputs
    share = math.ceil(x.shape[axis] / parts)
    sizes = integers(lengths) or (share,) * parts
    stops = np.cumsum(sizes).tolist()
    before = (slice(None),) * axis
    return tuple(x[(*before, slice(stop - n, stop))] for n, stop in zip(sizes, stops, strict=True))


def _slice(node: Node, x: mr.Tensor, *bounds: mr.Tensor | None) -> mr.Tensor:
    starts, ends, axes, steps = ([integers(b) for b in bounds] + [None] * 4)[:4]
    starts, ends = starts or node["starts"], ends or node["ends"]
    axes = axes or node["axes"] or range(len(starts))
    index = [slice(None)] * x.ndim
    for axis, *bound in zip(axes, starts, ends, steps or [1] * len(starts), strict=True):
        index[axis] = slice(*bound)
    return x[tuple(index)]


def _pad(node: Node, x: mr.Tensor, pads: Any, value: Any = None, axes: Any = None) -> mr.Tensor:
    widths = integers(pads) or ()
    named = integers(axes) or tuple(range(x.ndim))
    frame = [(0, 0)] * x.ndim
    for axis, before, after in zip(named, widths[: len(named)], widths[len(named) :], strict=True):
        frame[axis] = (before, after)
    reverse = [n for pair in reversed(frame) for n in pair]
    mode = {"edge": "replicate", "wrap": "circular"}.get(node["mode"], node["mode"])
    return ops.pad(x, reverse, mode, 0.0 if value is None else value.item())


def _gather(node: Node, x: mr.Tensor, indices: mr.Tensor) -> mr.Tensor:
    return x[(*(slice(None),) * (node["axis"] % x.ndim), indices)]


def _gather_nd(node: Node, x: mr.Tensor, indices: mr.Tensor) -> mr.Tensor:
    """Each row of `indices` names a place in x, or a part of it; the batch axes go along."""
    places = indices.numpy()
    batch = node["batch_dims"]
    grid = np.ogrid[tuple(slice(n) for n in places.shape[:-1])][:batch]
    return x[(*map(mr.tensor, grid), *map(mr.tensor, np.moveaxis(places, -1, 0)))]


def _compress(node: Node, x: mr.Tensor, condition: mr.Tensor) -> mr.Tensor:
    axis = node["axis"]
    x, axis = (ops.flatten(x), 0) if axis is None else (x, axis % x.ndim)
    chosen = mr.tensor(np.flatnonzero(condition.numpy()))
    return x[(*(slice(None),) * axis, chosen)]


def _tile(node: Node, x: mr.Tensor, repeats: mr.Tensor) -> mr.Tensor:
    for axis, count in enumerate(integers(repeats) or ()):
        x = ops.concatenate([x] * count, axis)
    return x


def _depth_to_space(node: Node, x: mr.Tensor) -> mr.Tensor:
    """Rows and columns of each block are channels: the first ones (DCR), or the last (CRD)."""
    n, _, h, w = x.shape
    block = node["blocksize"]
    if node["mode"] == "DCR":
        grid = ops.reshape(x, n, block, block, -1, h, w)
        return ops.reshape(ops.permute(grid, 0, 3, 4, 1, 5, 2), n, -1, h * block, w * block)
    grid = ops.reshape(x, n, -1, block, block, h, w)
    return ops.reshape(ops.permute(grid, 0, 1, 4, 2, 5, 3), n, -1, h * block, w * block)


def _space_to_depth(node: Node, x: mr.Tensor) -> mr.Tensor:
    n, c, h, w = x.shape
    block = node["blocksize"]
    grid = ops.reshape(x, n, c, h // block, block, w // block, block)
    order = {"DCR": (0, 3, 5, 1, 2, 4), "CRD": (0, 1, 3, 5, 2, 4)}[node["mode"] or "DCR"]
    return ops.reshape(ops.permute(grid, order), n, -1, h // block, w // block)


def _trilu(node: Node, x: mr.Tensor, k: mr.Tensor | None = None) -> mr.Tensor:
    diagonal = 0 if k is None else int(k.item())
    rows = ops.unsqueeze(ops.arange(x.shape[-2]), 1) + diagonal
    columns = ops.arange(x.shape[-1])
    kept = columns >= rows if node["upper"] else columns <= rows
    return ops.where(kept, x, ops.zeros_like(x))


def _one_hot(node: Node, indices: mr.Tensor, depth: mr.Tensor, values: mr.Tensor) -> mr.Tensor:
    axis, count = node["axis"], int(depth.item())
    off, on = values[0], values[1]
    axis = axis % (indices.ndim + 1)
    # From the end, where negative; what is out of range stays so, and is no class.
    indices = ops.where(indices < 0, indices + count, indices)
    classes = ops.reshape(ops.arange(count), (-1,) + (1,) * (indices.ndim - axis))
    return ops.where(ops.equal(ops.unsqueeze(indices, axis), classes), on, off)


def _eye_like(node: Node, x: mr.Tensor) -> mr.Tensor:
    if node["k"]:
        refuse("ones beside the main diagonal")
    given = node["dtype"]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(given) if given else x.dtype
    return ops.eye(*x.shape, dtype=dtype)


def _constant(node: Node) -> mr.Tensor:
    if node["value"] is not None:
        return mr.tensor(onnx.numpy_helper.to_array(node["value"]))
    for name, dtype in (("value_float", "float32"), ("value_int", "int64")):
        for given in (node[name], node[f"{name}s"]):
            if given is not None:
                return mr.tensor(given, dtype=dtype)
    return refuse("a constant that is no number")  # type: ignore[func-returns-value]


def _constant_of_shape(node: Node, shape: mr.Tensor) -> mr.Tensor:
    given = node["value"]
    value = onnx.numpy_helper.to_array(given) if given else np.zeros(1, "float32")
    return ops.full(integers(shape) or (), value.item(), dtype=value.dtype)


def _shape(node: Node, x: mr.Tensor) -> mr.Tensor:
    return mr.tensor(x.shape[node["start"] : node["end"]], dtype="int64")


def _range(start: mr.Tensor, limit: mr.Tensor, delta: mr.Tensor) -> mr.Tensor:
    return ops.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)


OPERATORS: dict[str, Adapter] = {
    "Compress": _compress,
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "DepthToSpace": _depth_to_space,
    "Expand": _expand,
    "EyeLike": _eye_like,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": lambda node, x, index: ops.gather(x, node["axis"], index),
    "GatherND": _gather_nd,
    "OneHot": _one_hot,
    "Pad": _pad,
    "Range": plain(_range),
    "Reshape": _reshape,
    "Shape": _shape,
    "Size": plain(lambda x: mr.tensor(x.numel(), dtype="int64")),
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Trilu": _trilu,
    "Unsqueeze": _unsqueeze,
}
