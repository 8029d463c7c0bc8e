"""Grey values about 0: what networks are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minires.data.measures import measure

from .transform import Array, Transform


class Normalize(Transform):
    """Subtract a mean from grey values in 0..1, and divide by a standard deviation.

    Bytes 0 to 255 stand for 0 to 1.

    Parameters
    ----------
    mean, std : sequence of float, (C,)
        One number per channel.
    dtype : str or dtype
        Of the result, floating.

    Raises
    ------
    ValueError
        If the numbers are not finite, their counts differ, or an `std` is not positive; on use, if
        the images have other channels.

    Examples
    --------
    >>> white = np.full((1, 1, 1, 2), 255, np.uint8)
    >>> Normalize(mean=[0.5], std=[0.25])(white)
    array([[[[2., 2.]]]], dtype=float32)
    """

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], dtype: Any = np.float32
    ) -> None:
        self.mean, self.std = (np.asarray(each, np.float64) for each in (mean, std))
        self.dtype = np.dtype(dtype)
        if self.mean.ndim != 1 or self.mean.shape != self.std.shape:
            raise ValueError(
                "Normalize: mean and std must have one number per channel, found"
                f" {self.mean.tolist()} and {self.std.tolist()}"
            )
        if not np.isfinite([self.mean, self.std]).all() or not (self.std > 0).all():
            raise ValueError(
                "Normalize: mean must be finite, and std finite and positive; found"
                f" {self.mean.tolist()} and {self.std.tolist()}"
            )
        if self.dtype.kind != "f":
            raise ValueError(f"Normalize: dtype must be floating, found {self.dtype}")

    @classmethod
    def of(cls, dataset: Any, dtype: Any = np.float32) -> Normalize:
        """Return what brings a data set's images to mean 0 and standard deviation 1.

        Parameters
        ----------
        dataset : Dataset
            The training part; see `minires.data.measure`.
        dtype : str or dtype

        Raises
        ------
        ValueError
            If a channel is the same in all pixels: nothing brings it to standard deviation 1.
        """
        return cls(*measure(dataset), dtype=dtype)

    def apply(self, images: Array, draws: Array) -> Array:
        """Return images of `dtype`."""
        if images.shape[1] != len(self.mean):
            raise ValueError(
                f"Normalize: images have {images.shape[1]} channels, mean and std have"
                f" {len(self.mean)}"
            )
        unit = 255 if images.dtype == np.uint8 else 1
        scale = (1 / (unit * self.std)).astype(self.dtype)
        normal: Array = images * scale[:, None, None]
        normal += (-self.mean / self.std).astype(self.dtype)[:, None, None]
        return normal.astype(self.dtype, copy=False)

    def __repr__(self) -> str:
        return f"Normalize({self.mean.tolist()}, {self.std.tolist()})"
