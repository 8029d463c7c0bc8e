"""Grey values about 0: what networks are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minires.data.measures import mean_image, measure

from .transform import Array, Transform


class Normalize(Transform):
    """Subtract a mean from grey values in 0..1, and divide by a standard deviation.

    Bytes 0 to 255 stand for 0 to 1.

    Parameters
    ----------
    mean : sequence of float, (C,), or array, (C, H, W)
        One number per channel, or per pixel. Then images are normalised before they are cropped.
    std : sequence of float, (C,)
        One number per channel.
    dtype : str or dtype
        Of the result, floating.

    Raises
    ------
    ValueError
        If the numbers are not finite, their counts differ, or an `std` is not positive; on use, if
        the images have other channels, or other pixels.

    Examples
    --------
    >>> white = np.full((1, 1, 1, 2), 255, np.uint8)
    >>> Normalize(mean=[0.5], std=[0.25])(white)
    array([[[[2., 2.]]]], dtype=float32)
    """

    def __init__(
        self, mean: Sequence[float] | Array, std: Sequence[float], dtype: Any = np.float32
    ) -> None:
        self.mean, self.std = (np.asarray(each, np.float64) for each in (mean, std))
        self.dtype = np.dtype(dtype)
        if self.mean.ndim not in (1, 3) or self.std.shape != self.mean.shape[:1]:
            raise ValueError(
                "Normalize: needs one std per channel, and one mean per channel or pixel; found"
                f" means {self.mean.shape} and stds {self.std.shape}"
            )
        finite = np.isfinite(self.mean).all() and np.isfinite(self.std).all()
        if not finite or not (self.std > 0).all():
            raise ValueError(
                "Normalize: mean must be finite, and std finite and positive; found"
                f" {self.mean.tolist()} and {self.std.tolist()}"
            )
        if self.dtype.kind != "f":
            raise ValueError(f"Normalize: dtype must be floating, found {self.dtype}")

    @classmethod
    def of(cls, dataset: Any, per_pixel: bool = False, dtype: Any = np.float32) -> Normalize:
        """Return what brings a data set's images to mean 0 and standard deviation 1.

        Parameters
        ----------
        dataset : Dataset
            The training part; see `minires.data.measure`.
        per_pixel : bool
            Subtract the mean of each pixel, as He et al. 2015 do on CIFAR, instead of each channel.
        dtype : str or dtype

        Raises
        ------
        ValueError
            If a channel is the same in all pixels: nothing brings it to standard deviation 1.
        """
        mean, std = measure(dataset)
        return cls(mean_image(dataset) if per_pixel else mean, std, dtype)

    def apply(self, images: Array, draws: Array) -> Array:
        """Return images of `dtype`."""
        mean = self.mean if self.mean.ndim == 3 else self.mean[:, None, None]
        per_pixel = mean.shape[1:] != (1, 1)
        if images.shape[1] != len(mean) or (per_pixel and images.shape[1:] != mean.shape):
            raise ValueError(
                f"Normalize: images (C, H, W) are {images.shape[1:]}, the mean is"
                f" {self.mean.shape}" + "; normalise before you crop" * per_pixel
            )
        unit = 255 if images.dtype == np.uint8 else 1
        std = self.std[:, None, None]
        normal: Array = images * (1 / (unit * std)).astype(self.dtype)
        normal += (-mean / std).astype(self.dtype)
        return normal.astype(self.dtype, copy=False)

    def __repr__(self) -> str:
        mean = self.mean.tolist() if self.mean.ndim == 1 else f"<means {self.mean.shape}>"
        return f"Normalize({mean}, {self.std.tolist()})"
