"""Canvases: pictures of several digits, and where each of them is.

What a classifier's data set lacks, a class for each pixel and a box for each thing, comes for free
when the picture is put together from labelled images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .dataset import TensorDataset

Array = np.ndarray[Any, Any]


def compose_canvases(
    images: Array,
    labels: Array,
    count: int,
    *,
    size: tuple[int, int] = (64, 64),
    per_canvas: tuple[int, int] = (1, 4),
    zooms: Sequence[int] = (2, 3),
    ink: float = 0.25,
    seed: int = 0,
) -> TensorDataset:
    """Place labelled images on empty canvases, so that their boxes do not overlap.

    Grey values are shifted and scaled so that the smallest of all images, the background, is 0, and
    the largest 1. Those above `ink` give their pixels the class, and the box is drawn tightly
    around them; fainter ones are on the canvas as well, within the box.

    Parameters
    ----------
    images : array, (M, 1, h, w) or (M, h, w)
        Such as those of `digits` or MNIST.
    labels : array of int, (M,)
        0 to classes - 1.
    count : int
        How many canvases to make.
    size : (int, int)
        (H, W) of a canvas.
    per_canvas : (int, int)
        The least and the largest number of images on a canvas, drawn at random. What then finds no
        room is left out; the first always has room.
    zooms : sequence of int
        An image is enlarged by one of these numbers: each pixel becomes a square of that many.
    ink : float
        Between 0 and 1; see above.
    seed : int
        Decides everything that is drawn.

    Returns
    -------
    TensorDataset
        Of four parts: image (1, H, W), float32; mask (H, W), int64, 0 for the background and
        label + 1 for ink; boxes (K, 4), float32, as x0, y0, x1, y1 in pixels, of which x1 and y1
        are the first beyond the box; labels (K,), int64. K is the largest number of images on a
        canvas; where there are fewer, the last rows have label -1 and a box of zeros.

    Raises
    ------
    ValueError
        If shapes do not fit, an image has no ink, or an enlarged one could be larger than a canvas.

    Examples
    --------
    >>> import minires as mr
    >>> digits = mr.data.digits().train
    >>> canvases = mr.data.compose_canvases(*digits.arrays, count=100)
    >>> image, mask, boxes, labels = canvases[0]
    >>> image.shape, mask.shape, boxes.shape, labels.shape
    ((1, 64, 64), (64, 64), (4, 4), (4,))
    """
    grey, named = _checked(images, labels, ink)
    if count < 1 or not 1 <= per_canvas[0] <= per_canvas[1]:
        raise ValueError(
            "compose_canvases: count must be at least 1, and per_canvas (least, most) with"
            f" 1 <= least <= most; found {count} and {per_canvas}"
        )
    if not zooms or min(zooms) < 1:
        raise ValueError(f"compose_canvases: zooms must be integers >= 1, found {tuple(zooms)}")
    largest = tuple(side * max(zooms) for side in grey.shape[1:])
    if largest[0] > size[0] or largest[1] > size[1]:
        raise ValueError(
            f"compose_canvases: images {grey.shape[1:]}, enlarged {max(zooms)} times, need a canvas"
            f" of at least {largest}, found size {size}; make it larger or take smaller zooms"
        )
    rng = np.random.default_rng(seed)
    made = [_canvas(grey, named, rng, size, per_canvas, zooms, ink) for _ in range(count)]
    return TensorDataset(*map(np.stack, zip(*made, strict=True)))


def _canvas(
    grey: Array,
    labels: Array,
    rng: np.random.Generator,
    size: tuple[int, int],
    per_canvas: tuple[int, int],
    zooms: Sequence[int],
    ink: float,
) -> tuple[Array, Array, Array, Array]:
    """Compose one canvas: image, mask, boxes and labels."""
    least, most = per_canvas
    image, mask = np.zeros((1, *size), np.float32), np.zeros(size, np.int64)
    boxes, present = np.zeros((most, 4), np.float32), np.full(most, -1, np.int64)
    taken = np.zeros(size, bool)
    placed = 0
    for _ in range(rng.integers(least, most + 1)):
        chosen, zoom = rng.integers(len(grey)), rng.choice(zooms)
        patch = _cropped(grey[chosen], ink).repeat(zoom, 0).repeat(zoom, 1)
        h, w = patch.shape
        corners = _free_corners(taken, h, w)
        if len(corners):
            y, x = corners[rng.integers(len(corners))]
            box = np.s_[y : y + h, x : x + w]
            image[0][box] = patch
            mask[box] = (patch > ink) * (labels[chosen] + 1)
            taken[box] = True
            boxes[placed] = x, y, x + w, y + h
            present[placed] = labels[chosen]
            placed += 1
    return image, mask, boxes, present


def _cropped(image: Array, ink: float) -> Array:
    """Cut away the rows and columns around an image (h, w) that are without ink."""
    rows, columns = (np.flatnonzero((image > ink).any(axis)) for axis in (1, 0))
    return image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _free_corners(taken: Array, h: int, w: int) -> Array:
    """Return each corner (y, x) from which a box of h by w pixels covers nothing taken, (F, 2)."""
    # Entry (y, x) is the sum over all pixels above and to the left of that corner, so that four
    # entries tell the sum over any box.
    sums = np.pad(taken.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    covered = sums[h:, w:] - sums[:-h, w:] - sums[h:, :-w] + sums[:-h, :-w]
    return np.argwhere(covered == 0)


def _checked(images: Any, labels: Any, ink: float) -> tuple[Array, Array]:
    """Return grey values (M, h, w) from 0, the background, to 1, and labels (M,)."""
    grey, named = np.asarray(images, np.float32), np.asarray(labels)
    if grey.ndim == 4 and grey.shape[1] == 1:
        grey = grey[:, 0]
    if grey.ndim != 3 or named.shape != grey.shape[:1] or not len(named):
        raise ValueError(
            "compose_canvases: needs images (M, 1, h, w) or (M, h, w), at least one, and labels"
            f" (M,); found shapes {np.shape(images)} and {named.shape}"
        )
    if named.dtype.kind not in "iu" or named.min() < 0:
        raise ValueError(
            "compose_canvases: labels must be class numbers, integers from 0 on; found"
            f" {named.dtype}, the smallest {named.min()}"
        )
    if not 0 <= ink < 1:
        raise ValueError(f"compose_canvases: ink must lie in [0, 1), found {ink}")
    grey = grey - grey.min()
    grey /= grey.max() or 1
    blank = ~(grey > ink).any((1, 2))
    if blank.any():
        raise ValueError(
            f"compose_canvases: image {int(blank.argmax())} has no ink: with all images' values"
            f" scaled to 0 to 1, none of its own is above {ink}; leave it out, or take a lower ink"
        )
    return grey, named.astype(np.int64)
