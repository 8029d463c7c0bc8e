"""Images from files, as a network was trained to see them."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image

    from minires.models.weights.catalogue import Preprocessing

__all__ = ["prepare", "read_image"]

# Those of pictures, and no others that Pillow knows: for EPS it would run a program, Ghostscript.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_MOST_PIXELS = 2**24  # of an image resized
_ORIENTATION = 0x0112  # EXIF's tag of how the camera was held
_ON_ITS_SIDE = (5, 6, 7, 8)  # its values where height and width change places


def read_image(path: str | os.PathLike[str], channels: int = 3) -> Image:
    """Read an image: BMP, GIF, JPEG, PNG, PPM, TIFF, WebP, or a ``.npy`` array.

    Parameters
    ----------
    path : str or os.PathLike
        Of a picture, which is turned upright if a camera noted so, and of whose 16 bits a channel
        the upper 8 are taken; or of an array of uint8: (H, W), (1, H, W), (H, W, 3) or (3, H, W).
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
    from PIL import Image

    file = Path(path)
    if file.suffix.lower() == ".npy":
        return Image.fromarray(_pixels(_read_array(file))).convert(_mode_of(channels))
    with file.open("rb") as opened, warnings.catch_warnings(action="ignore"):
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return decode_image(opened, channels)


def decode_image(opened: IO[bytes], channels: int = 3) -> Image:
    """Decode what is in an open file, as `read_image` does; threads may do so at the same time.

    Raises
    ------
    ValueError
        As for `read_image`.
    """
    from PIL import ImageOps

    mode = _mode_of(channels)
    with _opened_image(opened) as image:
        has_16_bits = image.mode.startswith("I;16") or (
            image.mode == "I" and image.format in ("PNG", "PPM")  # read into 32 bits
        )
        upright = ImageOps.exif_transpose(image)
    return _in_8_bits(upright, has_16_bits).convert(mode)


def size_of_image(opened: IO[bytes]) -> tuple[int, int]:
    """Return the (H, W) that the image in an open file will have, mostly without decoding it.

    Raises
    ------
    ValueError
        As for `read_image`.
    """
    with _opened_image(opened) as image:
        turned = image.getexif().get(_ORIENTATION) in _ON_ITS_SIDE
        if turned and image.format == "TIFF":  # which Pillow turns itself, in some versions at once
            image.load()
            turned = False
        width, height = image.size
    return (width, height) if turned else (height, width)


@contextmanager
def _opened_image(opened: IO[bytes]) -> Iterator[Image]:
    """Open an image; turn what a decoder raises inside the block into a ValueError that tells."""
    from PIL import Image, UnidentifiedImageError

    most = Image.MAX_IMAGE_PIXELS or math.inf
    # Of a damaged file, decoders raise what they like. No warnings are caught: not every Python
    # lets threads do so.
    try:
        with Image.open(opened, formats=_FORMATS) as image:
            if image.width * image.height > most:
                raise Image.DecompressionBombError
            yield image
    except UnidentifiedImageError:
        raise ValueError(f"it is no image ({', '.join(_FORMATS)} are known)") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ValueError(f"it has more than {most:,} pixels; make it smaller first") from None
    except Exception as error:
        raise ValueError(f"it is a damaged image ({error})") from error


def _mode_of(channels: int) -> str:
    """What Pillow calls images of so many channels."""
    if channels not in (1, 3):
        raise ValueError(f"an image has 1 or 3 channels, not {channels}")
    return "L" if channels == 1 else "RGB"


def _in_8_bits(image: Image, has_16_bits: bool) -> Image:
    """Take the upper bits of each pixel; Pillow's own `convert` would make most of them white."""
    from PIL import Image

    if has_16_bits:
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(
            "its pixels have 32 bits, and nothing tells which is white; save it with 8"
        )
    if isinstance(image.info.get("transparency"), bytes):  # of a palette; Pillow warns of it
        return image.convert("RGBA")
    return image


def _read_array(file: Path) -> npt.NDArray[Any]:
    # Of a damaged file, NumPy too raises what it likes, and a MemoryError where it claims much.
    with file.open("rb") as opened, warnings.catch_warnings(action="error"):
        try:
            return np.lib.format.read_array(opened, allow_pickle=False)
        except Exception as error:
            told = " ".join(str(error).split())
            raise ValueError(f"it is a damaged array ({told})") from error


def _pixels(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return the array as (H, W) or (H, W, 3)."""
    pixels = array
    if array.ndim == 3 and array.shape[2] != 3:
        if array.shape[0] == 3:
            pixels = np.moveaxis(array, 0, -1)
        elif array.shape[0] == 1:
            pixels = array[0]
    if array.dtype != np.uint8 or pixels.shape[2:] not in ((), (3,)) or array.ndim < 2:
        advice = "; values of 0 to 1 become it by (255 * array).round().astype('uint8')"
        raise ValueError(
            f"an array of dtype {array.dtype} and shape {array.shape} is no image; it should be of"
            f" uint8: (H, W), (1, H, W), (H, W, 3) or (3, H, W){advice * (array.dtype.kind == 'f')}"
        )
    if 0 in array.shape:
        raise ValueError(f"an array of shape {array.shape} has no pixels")
    return np.ascontiguousarray(pixels)


def prepare(
    image: str | os.PathLike[str] | Image | npt.NDArray[np.uint8], preprocessing: Preprocessing
) -> npt.NDArray[np.float32]:
    """Resize, crop and normalise an image, as a network's card says.

    Parameters
    ----------
    image : str, os.PathLike, array of uint8 or PIL.Image.Image
        A file or an array, as for `read_image`, or an image with as many channels as `mean` has
        numbers.
    preprocessing : Preprocessing
        Of the card that `minires.models.pretrained` returns. The shorter side is resized,
        bilinearly, to `size`, and the middle kept, `crop` pixels each way; both are rounded as
        torchvision does it. From the pixels in 0..1 `pixel_mean` is subtracted, or else `mean`;
        `std` divides.

    Returns
    -------
    numpy.ndarray
        (channels, crop, crop), float32.

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        It is no image, or one so long and thin, or `size` so large, that resizing would take much
        memory.

    Examples
    --------
    >>> from PIL import Image
    >>> from minires.models.weights.catalogue import Preprocessing
    >>> wanted = Preprocessing(size=28, crop=14, mean=[0.5], std=[0.25])
    >>> prepare(Image.new("L", (56, 28), 255), wanted)[0, 0, :3]
    array([2., 2., 2.], dtype=float32)
    """
    from PIL import Image

    size, crop, mean, std = (
        preprocessing.size,
        preprocessing.crop,
        preprocessing.mean,
        preprocessing.std,
    )
    if isinstance(image, np.ndarray):
        image = Image.fromarray(_pixels(image)).convert(_mode_of(len(mean)))
    elif not isinstance(image, Image.Image):
        image = read_image(image, len(mean))
    width, height = image.size
    sides = resized_sides(height, width, size)
    if sides != (height, width):
        image = image.resize(sides[::-1], Image.Resampling.BILINEAR)
    left, top = (round((side - crop) / 2) for side in image.size)
    pixels: npt.NDArray[Any] = np.asarray(image.crop((left, top, left + crop, top + crop)))
    channels_first = np.moveaxis(pixels.reshape(crop, crop, -1), -1, 0)
    subtracted = np.reshape(mean, (-1, 1, 1))
    if preprocessing.pixel_mean:
        subtracted = np.reshape(preprocessing.pixel_mean, channels_first.shape)
    normal = channels_first / 255 - subtracted
    normal /= np.reshape(std, (-1, 1, 1))
    return np.asarray(normal, np.float32)


def resized_sides(height: int, width: int, shorter: int) -> tuple[int, int]:
    """Return the (H, W) of an image whose shorter side gets a length, and whose ratio is kept.

    The longer one is rounded down, as torchvision does it.

    Raises
    ------
    ValueError
        If that would take much memory.
    """
    least = min(height, width)
    sides = height * shorter // least, width * shorter // least
    if least != shorter and math.prod(sides) > _MOST_PIXELS:
        raise ValueError(
            f"its {width} x {height} pixels would be {sides[1]:,} x {sides[0]:,} with the shorter"
            f" side resized to {shorter}; cut it"
        )
    return sides
