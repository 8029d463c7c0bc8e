"""Adaptive pooling: a grid of so many parts, whatever the size of the images.

Letters: N images, C channels, (H, W) size, (OH, OW) grid. Part i of OH covers the rows from
floor(i*H/OH) to ceil((i+1)*H/OH), exclusive; parts overlap where OH does not divide H.
"""

from __future__ import annotations

from typing import Any

from minires import devices
from minires.autograd import Tensor, located
from minires.devices import Array

from .creation import tensor
from .geometry import Pair, images, pair
from .reductions import mean
from .resampling import mix_images
from .selection import Extremum, gather
from .shapes import floating, reshape

Size = tuple[int, int]
Grid = Pair | tuple[int | None, int | None]


def _grid(input: Tensor, wanted: Grid, op: str, to: str) -> tuple[Size, Size]:
    """Return (H, W) and (OH, OW), of which None keeps the input's length."""
    size = images(tuple(input.shape), op)
    given: Any = wanted
    if isinstance(given, tuple):
        given = tuple(n if o is None else o for n, o in zip(size, given, strict=False))
    parts = pair(given, "output_size", op, 1)
    if 0 in size:
        raise ValueError(located(f"{op}: images of size {size} have no values to {to}"))
    return size, parts


def adaptive_avg_pool2d(input: Tensor, output_size: Grid) -> Tensor:
    """Mean over a grid of (nearly) equal parts, whatever the input's size.

    But for a single part it is a product with a matrix along each axis. On the CPU a NaN or an
    infinity stays with the parts that cover it; on a GPU it makes NaN of its whole channel.

    Parameters
    ----------
    input : Tensor, (N, C, H, W)
    output_size : int or (int, int)
        (OH, OW); None keeps the input's length. Row i of the grid covers the rows from
        floor(i*H/OH) to ceil((i+1)*H/OH).

    Returns
    -------
    Tensor, (N, C, OH, OW)

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> import minires as mr
    >>> mr.ops.adaptive_avg_pool2d(mr.arange(4.0).reshape(1, 1, 2, 2), 1)
    tensor([[[[1.5]]]])
    """
    size, parts = _grid(input, output_size, "adaptive_avg_pool2d", "average")
    input = floating(input)
    if parts == (1, 1):
        return mean(input, (2, 3), keepdim=True)
    xp = devices.of(_plain(input)).xp
    rows, columns = (_averaging(xp, *axis) for axis in zip(size, parts, strict=True))
    return mix_images(input, rows, columns)


def _averaging(xp: Any, length: int, parts: int) -> Array:
    """Matrix (parts, length) that averages over nearly equal parts of an axis."""
    matrix = xp.zeros((parts, length))
    for i in range(parts):
        start, stop = i * length // parts, -(-(i + 1) * length // parts)
        matrix[i, start:stop] = 1.0 / (stop - start)
    return matrix


def adaptive_max_pool2d(input: Tensor, output_size: Grid, return_indices: bool = False) -> Any:
    """Largest value of each part of a grid; its gradient goes to the (first) winner.

    Parameters
    ----------
    input : Tensor, (N, C, H, W)
    output_size : int or (int, int)
        (OH, OW); None keeps the input's length. Row i of the grid covers the rows from
        floor(i*H/OH) to ceil((i+1)*H/OH).
    return_indices : bool
        Also tell where in its image (H*W), row by row, each winner stands.

    Returns
    -------
    Tensor, (N, C, OH, OW); with `return_indices` Extremum(values, indices), both of that shape

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> import minires as mr
    >>> mr.ops.adaptive_max_pool2d(mr.arange(6.0).reshape(1, 1, 2, 3), (1, 2))
    tensor([[[[4., 5.]]]])
    """
    (h, w), (oh, ow) = _grid(input, output_size, "adaptive_max_pool2d", "choose from")
    n, c = input.shape[:2]
    # Winners are constants: the gradient passes through what is gathered.
    plain = _plain(input)
    winners = _winners(plain, (oh, ow))  # (N, C, OH*OW)
    values = reshape(gather(reshape(input, n, c, h * w), 2, winners), n, c, oh, ow)
    if not return_indices:
        return values
    places = tensor(winners, devices.int64, device=devices.of(plain))
    return Extremum(values, reshape(places, n, c, oh, ow))


def _winners(x: Array, parts: Size) -> Array:
    """Where in its image (H*W) the first largest value of each part stands, (N, C, OH*OW)."""
    xp = devices.of(x).xp
    n, c, h, w = x.shape
    rows, columns = _covered(xp, h, parts[0]), _covered(xp, w, parts[1])
    seen = x[:, :, rows[:, :, None, None], columns]  # (N, C, OH, KH, OW, KW)
    oh, kh, ow, kw = seen.shape[2:]
    best = seen.transpose(0, 1, 2, 4, 3, 5).reshape(n, c, oh * ow, kh * kw).argmax(3)
    places = rows[:, None, :, None] * w + columns[:, None]  # (OH, OW, KH, KW)
    return places.reshape(oh * ow, kh * kw)[xp.arange(oh * ow), best]


def _covered(xp: Any, length: int, parts: int) -> Array:
    """Places (parts, K) that each part of an axis covers; a shorter part repeats its last one."""
    number = xp.arange(parts)
    first, last = number * length // parts, ((number + 1) * length - 1) // parts
    longest = max(-(-(i + 1) * length // parts) - i * length // parts for i in range(parts))
    return xp.minimum(first[:, None] + xp.arange(longest), last[:, None])


def _plain(input: Any) -> Array:
    return input._data if isinstance(input, Tensor) else input
