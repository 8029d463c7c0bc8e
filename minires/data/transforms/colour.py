"""Other light: brightness, contrast, saturation and hue; and noise along the colours' own axes."""

from __future__ import annotations

import numpy as np

from .transform import Array, Transform


class ColorJitter(Transform):
    """Change brightness, contrast, saturation and hue of each image, in a random order.

    The first three blend the image with something: with black; with its mean grey; with itself in
    grey. A factor of 1 leaves it as it is. The hue turns round the circle of colours by a part of
    it, while HSV's saturation and value are kept.

    Parameters
    ----------
    brightness, contrast, saturation : float
        The factor is between 1 - this (but not below 0) and 1 + this.
    hue : float
        The part of the circle is between -this and this, which is 0.5 at most.

    Raises
    ------
    ValueError
        If a number is negative or not finite, or the hue's above 0.5; on use, if images have
        neither 1 nor 3 channels.

    Examples
    --------
    >>> grey = np.full((1, 3, 2, 2), 0.5, np.float32)
    >>> darker_or_lighter = ColorJitter(brightness=0.4)(grey, seed=0)
    >>> bool((0.3 <= darker_or_lighter).all() and (darker_or_lighter <= 0.7).all())
    True
    """

    draws = 8  # four factors; four numbers whose ranks are the order

    def __init__(
        self,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        hue: float = 0.0,
    ) -> None:
        self.spread = np.array([brightness, contrast, saturation, hue])
        if not np.isfinite(self.spread).all() or (self.spread < 0).any() or hue > 0.5:
            raise ValueError(
                "ColorJitter: brightness, contrast, saturation and hue must be finite and at least"
                f" 0, and hue at most 0.5; found {self.spread.tolist()}"
            )

    def apply(self, images: Array, draws: Array) -> Array:
        """Return images of the same dtype; those of 1 channel have no saturation and no hue."""
        _check_channels("ColorJitter", images, (1, 3))
        middle = np.array([1, 1, 1, 0])
        low = np.maximum(middle - self.spread, [0, 0, 0, -0.5])
        factors = low + draws[:, :4] * (middle + self.spread - low)
        orders = draws[:, 4:].argsort(1)
        jittered = np.empty_like(images)
        for place, image in enumerate(images):
            values = image.astype(_precise(images))
            for kind in orders[place]:
                if self.spread[kind] and (kind < 2 or len(image) == 3):
                    values = _changed(values, kind, float(factors[place, kind]))
                    values = values.clip(0, _largest(images))
            jittered[place] = _as(values, images.dtype)
        return jittered

    def __repr__(self) -> str:
        return f"ColorJitter({', '.join(map(str, self.spread.tolist()))})"


class Lighting(Transform):
    """Add to all pixels of an image a random colour, such as another light would.

    The colours of photographs vary most along a few axes: the principal components of all pixels.
    The colour that is added is a sum of them, each times its variance times a normal number.

    Parameters
    ----------
    std : float
        Standard deviation of the normal numbers. He et al. 2015 take over "the standard color
        augmentation" of Krizhevsky et al. 2012, where it is 0.1.

    Raises
    ------
    ValueError
        If `std` is negative or not finite; on use, if images have other than 3 channels.

    Notes
    -----
    Variances and components are those of ImageNet, for RGB in 0..1, as in fb.resnet.torch. Bytes
    are rounded.

    References
    ----------
    Krizhevsky, Sutskever and Hinton, ImageNet Classification with Deep Convolutional Neural
    Networks, NIPS 2012, section 4.1.

    Examples
    --------
    >>> grey = np.full((1, 3, 2, 2), 0.5)
    >>> lit = Lighting(0.1)(grey, seed=0)
    >>> bool((lit != grey).all()), bool(np.ptp(lit, (2, 3)).any())
    (True, False)
    """

    draws = 4  # Box and Muller 1958 make two normal numbers of two uniform ones

    _VARIANCES = np.array([0.2175, 0.0188, 0.0045])
    _COMPONENTS = np.array(  # one in each column
        [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
    )

    def __init__(self, std: float = 0.1) -> None:
        if not 0 <= std < np.inf:
            raise ValueError(f"Lighting: std must be finite and at least 0, found {std}")
        self.std = std

    def apply(self, images: Array, draws: Array) -> Array:
        """Return images of the same dtype."""
        _check_channels("Lighting", images, (3,))
        radius = np.sqrt(-2 * np.log1p(-draws[:, :2]))  # 1 - draw is never 0
        angle = 2 * np.pi * draws[:, 2:]
        normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], 1)[:, :3]
        # (N, 3), as a sum and no product of matrices, whose last bits depend on N
        added = ((self.std * normal * self._VARIANCES)[:, None] * self._COMPONENTS).sum(2)
        largest = _largest(images)
        values = images + (largest * added[:, :, None, None]).astype(_precise(images))
        return _as(values.clip(0, largest), images.dtype)

    def __repr__(self) -> str:
        return f"Lighting({self.std})"


def _changed(values: Array, kind: int, factor: float) -> Array:
    """Return an image (C, H, W) of another brightness, contrast, saturation or hue: kind 0 to 3."""
    if kind == 0:
        return values * factor
    if kind == 3:
        return _turned(values, factor)
    grey = _grey(values)
    return factor * values + (1 - factor) * (grey.mean() if kind == 1 else grey)


def _grey(values: Array) -> Array:
    """Return an image in grey, (1, H, W): ITU-R BT.601."""
    if len(values) == 1:
        return values
    red, green, blue = values
    grey: Array = 0.299 * red + 0.587 * green + 0.114 * blue
    return grey[None]


def _turned(values: Array, turn: float) -> Array:
    """Return an image (3, H, W) whose hues are turned by a part of their circle.

    From HSV, with V = max(R, G, B), C = V - min(R, G, B) and the hue h in sixths, a channel is
    V - C x, where x grows with the distance of h from the channel's own place, between 0 and 1.
    """
    red, green, blue = values
    value = values.max(0)
    chroma = value - values.min(0)
    span = np.where(chroma > 0, chroma, 1)
    hue = np.where(
        value == red,
        (green - blue) / span,
        np.where(value == green, 2 + (blue - red) / span, 4 + (red - green) / span),
    )
    hue += 6 * turn
    hue -= 6 * np.floor(hue / 6)  # three times as fast as % 6
    # Red's place is 0, and 6: both ends of the circle.
    away = np.stack([2 - abs(hue - 3), abs(hue - 2) - 1, abs(hue - 4) - 1])
    turned: Array = value - chroma * away.clip(0, 1)
    return turned


def _largest(images: Array) -> int:
    return 255 if images.dtype == np.uint8 else 1


def _precise(images: Array) -> np.dtype:
    """Return what images are computed in: float32, or what is more precise."""
    return np.result_type(images.dtype, np.float32)


def _as(values: Array, dtype: np.dtype) -> Array:
    return (np.rint(values) if dtype == np.uint8 else values).astype(dtype)


def _check_channels(name: str, images: Array, known: tuple[int, ...]) -> None:
    if images.shape[1] not in known:
        expected = " or ".join(map(str, known))
        raise ValueError(f"{name}: needs images of {expected} channels, found {images.shape[1]}")
