"""A square of each image is hidden."""

from __future__ import annotations

from .transform import Array, Transform


class Cutout(Transform):
    """Set a square of each image to 0, which is the mean where images are normalised before.

    Its middle is any pixel with equal probability, so that a part of it may lie outside.

    Parameters
    ----------
    size : int
        Of the square: 16 for CIFAR-10, and 8 for CIFAR-100, in the paper.

    Raises
    ------
    ValueError
        If `size` is below 1.

    References
    ----------
    DeVries and Taylor, Improved Regularization of Convolutional Neural Networks with Cutout, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> Cutout(3)(np.ones((1, 1, 4, 5)), seed=3)[0, 0]
    array([[1., 1., 1., 1., 1.],
           [1., 0., 0., 0., 1.],
           [1., 0., 0., 0., 1.],
           [1., 0., 0., 0., 1.]])
    """

    draws = 2

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"Cutout: size must be at least 1, found {size}")
        self.size = size

    def apply(self, images: Array, draws: Array) -> Array:
        """Return the images, each with a square of zeros."""
        hidden = images.copy()
        first = (draws * images.shape[2:]).astype(int) - self.size // 2
        for image, (top, left) in zip(hidden, first, strict=True):
            rows = slice(max(top, 0), max(top + self.size, 0))
            image[:, rows, max(left, 0) : max(left + self.size, 0)] = 0
        return hidden

    def __repr__(self) -> str:
        return f"Cutout({self.size})"
