"""Images from files, as a network was trained to see them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["prepare", "read_image"]


def read_image(path: str | os.PathLike[str], channels: int = 3) -> Image:
    """Read an image from a file that Pillow knows, or from a ``.npy`` array.

    Parameters
    ----------
    path : str or os.PathLike
        Of a picture, which is turned upright if a camera noted so, or of an array of uint8,
        (H, W), (H, W, 3) or (3, H, W).
    channels : {1, 3}
        Grey or RGB.

    Returns
    -------
    PIL.Image.Image

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError
        The file cannot be opened.
    ValueError
        It is no image, a damaged one, or one so large that a decoder should not be trusted with it.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    file = Path(path)
    mode = {1: "L", 3: "RGB"}.get(channels)
    if mode is None:
        raise ValueError(f"an image has 1 or 3 channels, not {channels}")
    if file.suffix.lower() == ".npy":
        return Image.fromarray(_array_of(file)).convert(mode)
    with file.open("rb") as opened, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        # Of a damaged file, decoders raise what they like.
        try:
            with Image.open(opened) as image:
                return ImageOps.exif_transpose(image).convert(mode)
        except UnidentifiedImageError:
            raise ValueError("it is no image that Pillow knows") from None
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise ValueError(
                f"it has more than {Image.MAX_IMAGE_PIXELS:,} pixels; make it smaller first"
            ) from None
        except Exception as error:
            raise ValueError(f"it is a damaged image ({error})") from error


def _array_of(file: Path) -> npt.NDArray[np.uint8]:
    try:
        array = np.load(file, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"it is a damaged array ({error})") from None
    if array.ndim == 3 and array.shape[0] == 3 and array.shape[2] != 3:
        array = np.moveaxis(array, 0, -1)
    if array.dtype != np.uint8 or array.shape[2:] not in ((), (3,)) or array.ndim < 2:
        raise ValueError(
            f"an array of dtype {array.dtype} and shape {array.shape} is no image; it should be of"
            " uint8, (H, W), (H, W, 3) or (3, H, W)"
        )
    if 0 in array.shape:
        raise ValueError(f"an array of shape {array.shape} has no pixels")
    return np.ascontiguousarray(array)


def prepare(
    image: Image, size: int, crop: int, mean: Sequence[float], std: Sequence[float]
) -> npt.NDArray[np.float32]:
    """Resize, crop and normalise an image.

    Parameters
    ----------
    image : PIL.Image.Image
        With as many channels as `mean` and `std` have numbers.
    size : int
        Pixels of the shorter side; it is resized, bilinearly, to that.
    crop : int
        Pixels of each side of the middle that is kept.
    mean, std : sequence of float
        Subtracted from the pixels in 0..1, and divided by.

    Returns
    -------
    numpy.ndarray
        (channels, crop, crop), float32.

    Examples
    --------
    >>> from PIL import Image
    >>> prepare(Image.new("L", (56, 28), 255), 28, 14, [0.5], [0.25])[0, 0, :3]
    array([2., 2., 2.], dtype=float32)
    """
    from PIL import Image

    width, height = image.size
    shorter = min(width, height)
    if shorter != size:
        sides = (
            max(size, round(width * size / shorter)),
            max(size, round(height * size / shorter)),
        )
        image = image.resize(sides, Image.Resampling.BILINEAR)
    left, top = ((side - crop) // 2 for side in image.size)
    pixels: npt.NDArray[Any] = np.asarray(image.crop((left, top, left + crop, top + crop)))
    channels_first = np.moveaxis(pixels.reshape(crop, crop, -1), -1, 0)
    normal = channels_first / 255 - np.reshape(mean, (-1, 1, 1))
    normal /= np.reshape(std, (-1, 1, 1))
    return np.asarray(normal, np.float32)
