"""A part of each image, as large as it is; and the image as a mirror shows it."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from .transform import Array, Transform

Size = int | tuple[int, int]
PaddingMode = Literal["constant", "reflect"]


def sides(name: str, size: Size) -> tuple[int, int]:
    """Return a size as (H, W); a single number is that of a square."""
    height, width = (size, size) if isinstance(size, (int, np.integer)) else size
    if height < 1 or width < 1:
        raise ValueError(f"{name}: size must be at least 1 pixel each way, found {size}")
    return int(height), int(width)


def padded(images: Array, padding: int, mode: PaddingMode = "constant") -> Array:
    """Return images (N, C, H, W) with a border on every side: zeros, or what is within, mirrored.

    Raises
    ------
    ValueError
        If an image is too small to be mirrored so far.
    """
    if mode == "reflect" and padding >= min(images.shape[2:]):
        raise ValueError(
            f"reflected padding of {padding} needs images of at least {padding + 1} pixels each"
            f" way; found {images.shape[2]}x{images.shape[3]}"
        )
    return np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)), mode)


class RandomCrop(Transform):
    """Cut a part out of each image, all places being equally likely.

    Parameters
    ----------
    size : int or (int, int)
        (H, W) of the part.
    padding : int
        Width of a border that images get on every side beforehand.
    padding_mode : {"constant", "reflect"}
        Whether the border is zeros, or what is within, mirrored at the edge.

    Raises
    ------
    ValueError
        If a number makes no sense; on use, if an image is smaller than the part.

    Examples
    --------
    >>> images = np.ones((20, 1, 2, 2), np.uint8)
    >>> parts = RandomCrop(2, padding=1)(images, seed=0)
    >>> parts.shape, sorted({int(part.sum()) for part in parts})
    ((20, 1, 2, 2), [1, 2, 4])
    """

    draws = 2
    fixes_size = True

    def __init__(
        self, size: Size, padding: int = 0, padding_mode: PaddingMode = "constant"
    ) -> None:
        self.size = sides("RandomCrop", size)
        if padding < 0:
            raise ValueError(f"RandomCrop: padding must be at least 0, found {padding}")
        if padding_mode not in get_args(PaddingMode):
            raise ValueError(
                f"RandomCrop: padding_mode must be one of {', '.join(get_args(PaddingMode))};"
                f" found {padding_mode!r}"
            )
        self.padding = padding
        self.padding_mode: PaddingMode = padding_mode

    def apply(self, images: Array, draws: Array) -> Array:
        """Return the parts, (N, C, *size)."""
        whole = padded(images, self.padding, self.padding_mode) if self.padding else images
        _check_fits("RandomCrop", whole, self.size)
        # (N, C, how many tops, how many lefts, *size): a view
        windows = np.lib.stride_tricks.sliding_window_view(whole, self.size, (2, 3))
        top, left = (draws * windows.shape[2:4]).astype(np.intp).T
        return np.ascontiguousarray(windows[np.arange(len(images)), :, top, left])

    def __repr__(self) -> str:
        return f"RandomCrop({self.size}, padding={self.padding}, {self.padding_mode!r})"


class CenterCrop(Transform):
    """Keep the middle of each image.

    Parameters
    ----------
    size : int or (int, int)
        (H, W) of it.

    Raises
    ------
    ValueError
        If a number makes no sense; on use, if an image is smaller.

    Examples
    --------
    >>> CenterCrop(1)(np.arange(9).reshape(1, 1, 3, 3)).item()
    4
    """

    fixes_size = True

    def __init__(self, size: Size) -> None:
        self.size = sides("CenterCrop", size)

    def apply(self, images: Array, draws: Array) -> Array:
        """Return the middles, (N, C, *size)."""
        _check_fits("CenterCrop", images, self.size)
        height, width = self.size
        # Halves are rounded as torchvision and `prepare` do it.
        top, left = (round((a - b) / 2) for a, b in zip(images.shape[2:], self.size, strict=True))
        return np.ascontiguousarray(images[:, :, top : top + height, left : left + width])

    def __repr__(self) -> str:
        return f"CenterCrop({self.size})"


class RandomHorizontalFlip(Transform):
    """Mirror images left to right, each with probability `p`.

    Parameters
    ----------
    p : float
        In 0..1.

    Raises
    ------
    ValueError
        If `p` is no probability.

    Examples
    --------
    >>> RandomHorizontalFlip(p=1)(np.arange(3).reshape(1, 1, 1, 3)).ravel()
    array([2, 1, 0])
    """

    draws = 1

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"RandomHorizontalFlip: p must be a probability, found {p}")
        self.p = p

    def apply(self, images: Array, draws: Array) -> Array:
        """Return the images, some mirrored."""
        mirrored = draws[:, 0] < self.p
        flipped = images.copy()
        flipped[mirrored] = images[mirrored, :, :, ::-1]
        return flipped

    def __repr__(self) -> str:
        return f"RandomHorizontalFlip(p={self.p})"


def _check_fits(name: str, images: Array, size: tuple[int, int]) -> None:
    height, width = images.shape[2:]
    if height < size[0] or width < size[1]:
        raise ValueError(
            f"{name}: cannot cut {size[0]}x{size[1]} pixels out of an image of {height}x{width};"
            " resize it first"
        )
