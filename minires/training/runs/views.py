"""The parts of an image by which a network is asked about it: one, or several to be averaged.

Letters: N images, C channels, H and W height and width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minires.data.transforms import CenterCrop, Resize
from minires.data.transforms.crops import PaddingMode, padded

from .batches import judged_at
from .config import RunConfig
from .errors import ConfigError

__all__ = ["CROPS", "Views", "views_of_run"]

Array = np.ndarray[Any, Any]

CROPS = (1, 5, 10)
_LARGEST = 2048  # of a scale: 64 images of it fill some gigabytes


@dataclass(frozen=True)
class Views:
    """Which parts of an image are looked at.

    Parameters
    ----------
    crops : {1, 5, 10}
        The middle; or the corners and the middle; or these and their mirror images, which are the
        ten of Krizhevsky et al. 2012, section 4.1.
    scales : tuple of int or None
        What the shorter side is resized to, one after the other; None leaves images as they are.
    size : (int, int) or None
        (H, W) of a part; None is the largest square, which a network with global pooling takes at
        any scale (He et al. 2015, section 4.1), or the whole image where it is not resized.
    padding : int
        Width of a border, from which there is room for corners.
    padding_mode : {"constant", "reflect"}
        What the border is made of: see `minires.data.transforms.RandomCrop`.
    """

    crops: int
    scales: tuple[int | None, ...]
    size: tuple[int, int] | None
    padding: int = 0
    padding_mode: PaddingMode = "constant"

    def __len__(self) -> int:
        return self.crops * len(self.scales)

    def of(self, images: Array) -> Iterator[Array]:
        """Cut the parts out of images.

        Parameters
        ----------
        images : array, (N, C, H, W)

        Yields
        ------
        array, (N, C, H', W')
            One of the parts of each image.

        Examples
        --------
        >>> image = np.arange(9).reshape(1, 1, 3, 3)
        >>> [int(part.item()) for part in Views(5, (None,), (1, 1)).of(image)]
        [0, 2, 6, 8, 4]
        """
        for scale in self.scales:
            resized = images if scale is None else Resize(scale)(images)
            if self.padding:
                resized = padded(resized, self.padding, self.padding_mode)
            yield from self._parts(resized, scale)

    def _parts(self, images: Array, scale: int | None) -> Iterator[Array]:
        H, W = images.shape[2:]
        height, width = self.size or ((H, W) if scale is None else (scale, scale))
        if height > H or width > W:
            raise ConfigError(
                f"scales: a part of {height}x{width} pixels cannot be cut out of an image of"
                f" {H}x{W}; name larger scales"
            )
        if self.crops > 1:
            for top in (0, H - height):
                for left in (0, W - width):
                    yield from self._mirrored(images[:, :, top : top + height, left : left + width])
        yield from self._mirrored(CenterCrop((height, width))(images))

    def _mirrored(self, part: Array) -> Iterator[Array]:
        yield part
        if self.crops == 10:
            yield part[:, :, :, ::-1]


def views_of_run(
    config: RunConfig,
    image_size: tuple[int, int] | None,
    crops: int = 1,
    scales: tuple[int, ...] = (),
) -> Views:
    """Choose the views of a run's test images.

    Parameters
    ----------
    config : RunConfig
        One crop and no scales are what the run itself is tested with.
    image_size : (int, int), optional
        (H, W) of the images; None if they differ.
    crops : {1, 5, 10}
    scales : tuple of int

    Raises
    ------
    ConfigError
        If such views would say nothing about the network.
    """
    if crops not in CROPS:
        raise ConfigError(f"crops: expected {', '.join(map(str, CROPS))}, found {crops}")
    if not all(1 <= scale <= _LARGEST for scale in scales):
        raise ConfigError(
            f"scales: expected sizes in pixels, 1 to {_LARGEST:,}, found {list(scales)}"
        )
    is_padded = config.augmentation in ("crop", "crop-flip") and config.crop_padding > 0
    has_room = is_padded or config.augmentation == "imagenet"
    if crops > 1 and not scales and not has_room:
        raise ConfigError(
            "crops: the images are as large as those trained on, so all parts would be the same;"
            " name larger scales"
        )
    if crops == 10 and config.augmentation not in ("crop-flip", "imagenet"):
        raise ConfigError(
            "crops: five of the ten are mirror images, which this run was not trained with (its"
            f" augmentation is {config.augmentation!r}); 5 leaves them out"
        )
    own: tuple[int | None, ...] = (None,)
    if (at := judged_at(config)) is not None:
        own, image_size = at[:1], (at[1], at[1])
    if scales:
        return Views(crops, scales, None if crops == 1 else image_size)
    if crops == 1:
        return Views(1, own, None if at is None else image_size)
    if config.augmentation == "imagenet":
        return Views(crops, own, image_size)
    return Views(crops, own, image_size, config.crop_padding, config.crop_padding_mode)
