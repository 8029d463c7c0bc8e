"""Images in other sizes, by Pillow: bilinear, and smoothed where they get smaller."""

from __future__ import annotations

import numpy as np

from minires.data.images import resized_sides

from .crops import Size, sides
from .transform import Array, Transform

_TRIES = (
    10  # for a part that fits into the image; torchvision's number, after which it is the middle
)


class Resize(Transform):
    """Resize images.

    Parameters
    ----------
    size : int or (int, int)
        (H, W); or what the shorter side becomes, while the ratio of the sides is kept. The longer
        one is rounded down, as torchvision does it.

    Raises
    ------
    ValueError
        If `size` is no size; on use, if an image is so long and thin that it would take much
        memory.

    Examples
    --------
    >>> photograph = np.zeros((1, 3, 30, 40), np.uint8)
    >>> Resize(15)(photograph).shape, Resize((8, 8))(photograph).shape
    ((1, 3, 15, 20), (1, 3, 8, 8))
    """

    def __init__(self, size: Size) -> None:
        self.size = size
        self._sides = sides("Resize", size)
        self.fixes_size = not isinstance(size, (int, np.integer))

    def apply(self, images: Array, draws: Array) -> Array:
        """Return images of the size."""
        size = self._sides
        if not self.fixes_size:
            H, W = images.shape[2:]
            size = resized_sides(H, W, size[0])
        return np.stack([_resized(image, size) for image in images])

    def __repr__(self) -> str:
        return f"Resize({self.size})"


class RandomShortestSize(Transform):
    """Resize each image so that its shorter side has a random length; the ratio is kept.

    Scale augmentation: He et al. 2015 cut 224x224 out of images with shorter sides 256 to 480.

    Parameters
    ----------
    min_size, max_size : int
        All lengths from the one to the other are equally likely.

    Raises
    ------
    ValueError
        If the lengths make no sense; on use, if an image is so long and thin that it would take
        much memory.

    Examples
    --------
    >>> from minires.data.transforms import Compose, RandomCrop
    >>> photographs = np.zeros((4, 3, 300, 400), np.uint8)
    >>> augment = Compose([RandomShortestSize(256, 480), RandomCrop(224)])
    >>> augment(photographs, seed=0).shape
    (4, 3, 224, 224)
    """

    draws = 1
    varies_size = True

    def __init__(self, min_size: int, max_size: int) -> None:
        if not 1 <= min_size <= max_size:
            raise ValueError(
                "RandomShortestSize: needs 1 <= min_size <= max_size, found"
                f" {min_size} and {max_size}"
            )
        self.min_size = min_size
        self.max_size = max_size

    def apply(self, images: Array, draws: Array) -> Array:
        """Return the image, for it is one, resized."""
        H, W = images.shape[2:]
        shorter = self.min_size + int(draws.item() * (self.max_size + 1 - self.min_size))
        return _resized(images[0], resized_sides(H, W, shorter))[None]

    def __repr__(self) -> str:
        return f"RandomShortestSize({self.min_size}, {self.max_size})"


class RandomResizedCrop(Transform):
    """Cut a part of random area and shape out of each image, and resize it.

    Ten parts are tried; if none fits into the image, its middle is taken.

    Parameters
    ----------
    size : int or (int, int)
        (H, W) of the results.
    scale : (float, float)
        The part's share of the image's area is between these.
    ratio : (float, float)
        Its width in terms of its height is between these, evenly on a logarithmic scale.

    Raises
    ------
    ValueError
        If a number makes no sense.

    References
    ----------
    Szegedy et al., Going Deeper with Convolutions, CVPR 2015, section 6.

    Examples
    --------
    >>> photographs = [np.zeros((3, 300, 400), np.uint8), np.zeros((3, 500, 375), np.uint8)]
    >>> RandomResizedCrop(224)(photographs, seed=0).shape
    (2, 3, 224, 224)
    """

    draws = 2 * _TRIES + 2
    fixes_size = True

    def __init__(
        self,
        size: Size,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
    ) -> None:
        self.size = sides("RandomResizedCrop", size)
        if not 0 < scale[0] <= scale[1] <= 1:
            raise ValueError(
                f"RandomResizedCrop: scale must be two rising numbers in 0..1, found {scale}"
            )
        if not 0 < ratio[0] <= ratio[1] < np.inf:
            raise ValueError(
                f"RandomResizedCrop: ratio must be two rising positive numbers, found {ratio}"
            )
        self.scale = scale
        self.ratio = ratio

    def apply(self, images: Array, draws: Array) -> Array:
        """Return the parts, (N, C, *size)."""
        parts = []
        for image, numbers in zip(images, draws, strict=True):
            top, left, height, width = self._part(image.shape[1], image.shape[2], numbers)
            parts.append(_resized(image[:, top : top + height, left : left + width], self.size))
        return np.stack(parts)

    def _part(self, H: int, W: int, draws: Array) -> tuple[int, int, int, int]:
        """Return top, left, height and width of a part of an image of H by W pixels."""
        areas, shapes = draws[: 2 * _TRIES].reshape(2, _TRIES)
        area = H * W * (self.scale[0] + areas * (self.scale[1] - self.scale[0]))
        low, high = np.log(self.ratio)
        ratio = np.exp(low + shapes * (high - low))
        heights, widths = np.rint(np.sqrt(area / ratio)), np.rint(np.sqrt(area * ratio))
        fits = np.flatnonzero((heights >= 1) & (heights <= H) & (widths >= 1) & (widths <= W))
        if len(fits):
            height, width = int(heights[fits[0]]), int(widths[fits[0]])
            top, left = (draws[-2:] * (H - height + 1, W - width + 1)).astype(int)
            return int(top), int(left), height, width
        height = min(H, max(1, round(W / self.ratio[0])))
        width = min(W, max(1, round(H * self.ratio[1])))
        return (H - height) // 2, (W - width) // 2, height, width

    def __repr__(self) -> str:
        return f"RandomResizedCrop({self.size}, scale={self.scale}, ratio={self.ratio})"


def _resized(image: Array, size: tuple[int, int]) -> Array:
    """Resize an image (C, H, W), keeping its dtype."""
    from PIL import Image

    if image.shape[1:] == size:
        return image
    width_and_height = size[::-1]
    if image.dtype == np.uint8 and len(image) == 3:
        picture = Image.fromarray(np.ascontiguousarray(np.moveaxis(image, 0, -1)))
        resized = picture.resize(width_and_height, Image.Resampling.BILINEAR)
        return np.moveaxis(np.asarray(resized), -1, 0)
    # Pillow has 8 bits and float32, for a channel at a time.
    kept = image if image.dtype == np.uint8 else image.astype(np.float32)
    channels = [
        Image.fromarray(channel).resize(width_and_height, Image.Resampling.BILINEAR)
        for channel in kept
    ]
    return np.stack([np.asarray(channel) for channel in channels]).astype(image.dtype)
