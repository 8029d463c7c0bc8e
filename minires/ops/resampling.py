"""Images of another size: values picked or mixed along one axis after the other.

Letters: N images, C channels, (H, W) size, (OH, OW) output size.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

from minires import devices
from minires.autograd import Tensor, located, op
from minires.devices import Array

from .geometry import Pair, images, pair
from .shapes import floating


@op
def _pick(x: Array, *, index: Array, dim: int) -> Array:
    return devices.of(x).pick(x, index, dim)


@_pick.vjp
def _(g: Array, shapes: Any, index: Array, dim: int) -> Array:
    places = devices.of(index).xp.arange(shapes[0][dim])
    picked = places[:, None] == index  # (L, M)
    return _mix(g, matrix=picked.astype(g.dtype), dim=dim)


@op
def _mix(x: Array, *, matrix: Array, dim: int) -> Array:
    return devices.of(x).mix(matrix, x, dim)


@_mix.vjp
def _(g: Array, matrix: Array, dim: int) -> Array:
    return _mix(g, matrix=matrix.T, dim=dim)


def mix_images(input: Tensor, rows: Array, columns: Array) -> Tensor:
    """Multiply images (N, C, H, W) by matrices (OH, H) and (OW, W), which need not have a dtype."""
    mixed = _mix(input, matrix=rows.astype(input.dtype), dim=2)
    return _mix(mixed, matrix=columns.astype(input.dtype), dim=3)


def interpolate(
    input: Tensor,
    size: Pair | None = None,
    scale_factor: float | tuple[float, float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = False,
) -> Tensor:
    """Resize images, without smoothing where they shrink (torch's ``antialias=False``).

    Bilinear is a product with a matrix along each axis. On the CPU a NaN or an infinity stays with
    the pixels that it has a part in; on a GPU it makes NaN of its whole channel.

    Parameters
    ----------
    input : Tensor, (N, C, H, W)
    size : int or (int, int), optional
        (OH, OW).
    scale_factor : float or (float, float), optional
        Instead of the size: OH is floor(H * factor), and a pixel's width is exactly 1 / factor of
        the input's, even where H * factor is no whole number; but, as in PyTorch, an axis that
        keeps its length, or for the nearest becomes twice as long, shows each row as often.
    mode : {"nearest", "bilinear"}
        With H rows becoming OH, output row i shows row floor(i * H / OH); or, bilinear, the input
        at (i + 1/2) * H / OH - 1/2, linear between two rows and constant beyond the outer ones.
    align_corners : bool
        Bilinear only: let the corner pixels' centres lie on each other, row i at
        i * (H - 1) / (OH - 1).

    Returns
    -------
    Tensor, (N, C, OH, OW)
        Nearest in the input's dtype.

    Raises
    ------
    ValueError
        If not one of size and scale factor is given, or an argument is out of range.

    Examples
    --------
    >>> import minires as mr
    >>> x = mr.tensor([[[[0.0, 4.0]]]])
    >>> mr.ops.interpolate(x, scale_factor=(1, 2))
    tensor([[[[0., 0., 4., 4.]]]])
    >>> mr.ops.interpolate(x, (1, 4), mode="bilinear")
    tensor([[[[0., 1., 3., 4.]]]])
    >>> mr.ops.interpolate(x, (1, 5), mode="bilinear", align_corners=True)
    tensor([[[[0., 1., 2., 3., 4.]]]])
    """
    lengths = images(tuple(input.shape), "interpolate")
    if mode not in ("nearest", "bilinear"):
        raise ValueError(
            located(f"interpolate: mode must be 'nearest' or 'bilinear', found {mode!r}")
        )
    if align_corners and mode == "nearest":
        raise ValueError(located("interpolate: align_corners needs mode 'bilinear'"))
    if 0 in lengths:
        raise ValueError(located(f"interpolate: images of size {lengths} have no values"))
    wanted, pixels = _grid(lengths, size, scale_factor, mode)
    plain = input._data if isinstance(input, Tensor) else input
    xp = devices.of(plain).xp
    if mode == "nearest":
        for dim, count, pixel in zip((2, 3), wanted, pixels, strict=True):
            index = _starts(xp, count, pixel).astype(devices.int64)
            input = _pick(input, index=xp.minimum(index, input.shape[dim] - 1), dim=dim)
        return input
    rows, columns = (
        _between(xp, *axis, bool(align_corners))
        for axis in zip(lengths, wanted, pixels, strict=True)
    )
    return mix_images(floating(input), rows, columns)


# The width of an output pixel in input pixels, as a fraction: quotients that are whole come out so.
Width = tuple[float, float]
Size = tuple[int, int]


def _grid(lengths: Size, size: Any, factor: Any, mode: str) -> tuple[Any, list[Width]]:
    """Return (OH, OW), and the height and the width of an output pixel."""
    if (size is None) == (factor is None):
        raise ValueError(
            located(
                f"interpolate: give size or scale_factor, and not both; found size={size},"
                f" scale_factor={factor}"
            )
        )
    if size is not None:
        counts = pair(size, "size", "interpolate", 1)
        return counts, list(zip(lengths, counts, strict=True))
    factors = tuple(factor) if isinstance(factor, (tuple, list)) else (factor, factor)
    if len(factors) != 2 or not all(
        isinstance(f, Real) and 0 < float(f) < math.inf for f in factors
    ):
        raise ValueError(
            located(f"interpolate: scale_factor must be one or two numbers > 0, found {factor!r}")
        )
    wanted = tuple(math.floor(n * f) for n, f in zip(lengths, factors, strict=True))
    if 0 in wanted:
        raise ValueError(
            located(
                f"interpolate: images of size {lengths} times scale_factor {factor} have no pixels"
            )
        )
    evenly = (1, 2) if mode == "nearest" else (1,)
    return wanted, [
        (n, m) if m / n in evenly else (1.0, f)
        for n, m, f in zip(lengths, wanted, factors, strict=True)
    ]


def _starts(xp: Any, count: int, pixel: Width, offset: float = 0.0) -> Array:
    """Where output pixels, or the points at `offset` in them, lie in the input, (count,)."""
    return (xp.arange(count) + offset) * pixel[0] / pixel[1]


def _between(xp: Any, length: int, count: int, pixel: Width, align_corners: bool) -> Array:
    """Matrix (count, length) that interpolates between the pixels of an axis.

    What is shown from the place p has of pixel j the share max(0, 1 - |p - j|).
    """
    if align_corners:
        places = _starts(xp, count, (length - 1, max(count - 1, 1)))
    else:
        places = xp.clip(_starts(xp, count, pixel, 0.5) - 0.5, 0, length - 1)
    return xp.maximum(0, 1 - xp.abs(places[:, None] - xp.arange(length)))
