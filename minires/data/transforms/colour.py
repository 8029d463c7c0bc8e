"""Other light: brightness, contrast and saturation; and noise along the colours' own axes."""

from __future__ import annotations

import numpy as np

from .transform import Array, Transform

_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue: ITU-R BT.601


class ColorJitter(Transform):
    """Change brightness, contrast and saturation of each image, in a random order.

    Each is blended with something: with black; with the mean grey of the image; with the image in
    grey. A factor of 1 leaves it as it is.

    Parameters
    ----------
    brightness, contrast, saturation : float
        The factor is between 1 - this (but not below 0) and 1 + this.

    Raises
    ------
    ValueError
        If a number is negative or not finite; on use, if images have neither 1 nor 3 channels.

    Examples
    --------
    >>> grey = np.full((1, 3, 2, 2), 0.5, np.float32)
    >>> darker_or_lighter = ColorJitter(brightness=0.4)(grey, seed=0)
    >>> bool((0.3 <= darker_or_lighter).all() and (darker_or_lighter <= 0.7).all())
    True
    """

    draws = 6  # three factors; three numbers whose ranks are the order

    def __init__(
        self, brightness: float = 0.0, contrast: float = 0.0, saturation: float = 0.0
    ) -> None:
        self.spread = np.array([brightness, contrast, saturation])
        if not np.isfinite(self.spread).all() or (self.spread < 0).any():
            raise ValueError(
                "ColorJitter: brightness, contrast and saturation must be finite and at least 0,"
                f" found {self.spread.tolist()}"
            )

    def apply(self, images: Array, draws: Array) -> Array:
        """Return images of the same dtype."""
        _check_channels("ColorJitter", images, (1, 3))
        low = np.maximum(1 - self.spread, 0)
        factors = low + draws[:, :3] * (1 + self.spread - low)
        largest = 255 if images.dtype == np.uint8 else 1
        jittered = np.empty_like(images)
        for place, (image, order) in enumerate(zip(images, draws[:, 3:].argsort(1), strict=True)):
            values = image.astype(np.float32)
            for kind in order:
                if self.spread[kind]:
                    values = _blended(values, kind, factors[place, kind]).clip(0, largest)
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
        added = (self.std * normal * self._VARIANCES) @ self._COMPONENTS.T  # (N, 3)
        largest = 255 if images.dtype == np.uint8 else 1
        values = images + (largest * added[:, :, None, None]).astype(np.float32)
        return _as(values.clip(0, largest), images.dtype)

    def __repr__(self) -> str:
        return f"Lighting({self.std})"


def _blended(values: Array, kind: int, factor: float) -> Array:
    if kind == 0:
        return values * np.float32(factor)
    grey = values if len(values) == 1 else np.tensordot(_GREY, values, 1)[None]  # (1, H, W)
    other = grey.mean() if kind == 1 else grey
    return np.float32(factor) * values + np.float32(1 - factor) * other


def _as(values: Array, dtype: np.dtype) -> Array:
    return (np.rint(values) if dtype == np.uint8 else values).astype(dtype)


def _check_channels(name: str, images: Array, known: tuple[int, ...]) -> None:
    if images.shape[1] not in known:
        expected = " or ".join(map(str, known))
        raise ValueError(f"{name}: needs images of {expected} channels, found {images.shape[1]}")
