"""Small pictures of arrays: which elements they show is known at once, the drawing can wait."""

from __future__ import annotations

import base64
import math

from minires import devices
from minires.devices import Array

from .records import Thumbnail

# The longest side of a picture, and how many channels stand in a row of it.
SIDE = 32
TILES = 2


def sampled(array: Array) -> Array:
    """Return a view of those elements that a picture of the array shows.

    The last two axes are the picture; of the axis before (channels) the first four stand in a
    square, of all others the first (image) is taken. What is larger than its place is sampled, at
    equal distances.
    """
    if array.size == 0:
        return array.reshape(0, 0)
    picture = array
    while picture.ndim > 3:
        picture = picture[0]
    if picture.ndim < 2:
        picture = picture.reshape(-1)
        if picture.size > SIDE:  # a vector is broken into rows
            side = min(SIDE, math.isqrt(picture.size))
            picture = picture[: side * side].reshape(side, side)
        else:
            picture = picture.reshape(1, -1)
    if picture.ndim == 3:
        picture = picture[: TILES * TILES] if len(picture) > 1 else picture[0]
    side = SIDE // TILES if picture.ndim == 3 else SIDE
    rows, columns = [-(-length // side) for length in picture.shape[-2:]]
    return picture[..., ::rows, ::columns]


def blank(sample: Array) -> Thumbnail:
    """Return the picture of a sample before it is drawn."""
    across = TILES if sample.ndim == 3 else 1
    rows, columns = sample.shape[-2:]
    return Thumbnail(rows * across, columns * across, 0.0, "")


def length_of(picture: Thumbnail) -> int:
    """Return how many characters the pixels have, or will have: four for three of them."""
    return -(-picture.rows * picture.columns // 3) * 4


def draw(picture: Thumbnail, sample: Array) -> None:
    """Fill in a blank picture from its sample, on the host."""
    xp = devices.cpu.xp
    host = sample.astype("float64")
    if host.ndim == 3:
        tiles = xp.zeros((TILES * TILES, *host.shape[1:]))
        tiles[: len(host)] = host
        host = tiles.reshape(TILES, TILES, *host.shape[1:]).swapaxes(1, 2)
    host = host.reshape(picture.rows, picture.columns)
    finite = xp.isfinite(host)
    magnitudes = abs(host[finite])
    picture.scale = float(magnitudes.max()) if magnitudes.size else 0.0
    # -128 stands for what is not finite.
    with devices.cpu.quiet():
        levels = (host / picture.scale * 127).round() if picture.scale else host * 0
    levels[~finite] = -128
    picture.pixels = base64.b64encode(levels.astype("int8").tobytes()).decode("ascii")
