"""A loader whose data set lies on the device that trains: batches are drawn there."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from minires import devices
from minires.autograd import Tensor
from minires.devices import Device

from .dataset import Array, TensorDataset
from .loader import DataLoader
from .split import Split


class DeviceLoader(DataLoader):
    """Iterate over images and labels that are uploaded once, in augmented batches of Tensors.

    Order, crops and mirrorings are drawn on the host, for a whole epoch at once, and are a function
    of (`seed`, epoch): they are the same on every device, and the order is that of a `DataLoader`
    with the same seed. The device draws each batch in one go.

    Parameters
    ----------
    dataset : TensorDataset or (images, labels)
        Images (M, C, H, W), uint8 or floating, and labels (M,), integers. Bytes 0 to 255 stand for
        0 to 1.
    batch_size, shuffle, drop_last, seed
        As for `DataLoader`.
    crop_padding : int
        Pad each image with so many zeros on all sides, and crop it at random to its size.
    flip : bool
        Mirror each image left to right with probability 1/2.
    mean, std : sequence of float, (C,), optional
        Subtract and divide, channel by channel, after padding; no normalisation by default.
    device : str or Device, optional
        Where the images are kept and batches drawn; the CPU by default.

    Raises
    ------
    TypeError
        If the data set is neither a TensorDataset nor a pair.
    ValueError
        If the shapes or dtypes are none of images and labels, or the numbers make no sense.

    Examples
    --------
    >>> import numpy as np
    >>> images = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1) * 51
    >>> loader = DeviceLoader((images, [0, 1, 2, 3]), batch_size=3, mean=[0.2], std=[0.2])
    >>> for x, y in loader:
    ...     x.reshape(-1), y
    (tensor([-1.,  0.,  1.]), tensor([0, 1, 2]))
    (tensor([2.]), tensor([3]))
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int = 0,
        *,
        crop_padding: int = 0,
        flip: bool = False,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        device: str | Device | None = None,
    ) -> None:
        dataset = _paired(dataset)
        super().__init__(dataset, batch_size, shuffle, drop_last, seed)
        images, labels = _checked(dataset.arrays)
        if not isinstance(crop_padding, (int, np.integer)) or crop_padding < 0:
            raise ValueError(
                f"DeviceLoader: crop_padding must be an integer >= 0, found {crop_padding!r}"
            )
        self.crop_padding = crop_padding
        self.flip = flip
        self.device = devices.get(device)
        channels = images.shape[1]
        centre = _per_channel("mean", mean, channels, 0.0)
        spread = _per_channel("std", std, channels, 1.0)
        if not (spread > 0).all():
            raise ValueError(f"DeviceLoader: std must be positive, found {spread.tolist()}")
        unit = 255 if images.dtype == np.uint8 else 1
        dtype = devices.default_float if images.dtype == np.uint8 else images.dtype
        self._images = self.device.array(images)
        self._labels = self.device.array(labels.astype(np.int64))
        self._scale = self.device.array((1 / (unit * spread)).astype(dtype))
        self._shift = self.device.array((-centre / spread).astype(dtype))

    def schedule(self, epoch: int) -> np.ndarray[Any, Any]:
        """Return what `epoch` draws, (4, M), int32: see `Device.gather_augment`."""
        order = self.order(epoch)
        rows = np.zeros((4, len(order)), np.int32)
        random = np.random.default_rng([self.seed, epoch, 1])  # apart from the order's numbers
        rows[0] = order
        rows[1:3] = self.crop_padding
        if self.crop_padding:
            rows[1:3] = random.integers(0, 2 * self.crop_padding + 1, (2, len(order)))
        if self.flip:
            rows[3] = random.integers(0, 2, len(order))
        return rows

    def _made(self, epoch: int, numbers: range) -> Generator[tuple[Tensor, Tensor], None, None]:
        schedule = self.device.array(self.schedule(epoch))
        for number in numbers:
            start = number * self.batch_size
            count = min(self.batch_size, len(self.dataset) - start)
            images, labels = self.device.gather_augment(
                self._images,
                self._labels,
                schedule,
                start,
                count,
                self.crop_padding,
                self._scale,
                self._shift,
            )
            yield Tensor._wrap(images), Tensor._wrap(labels)


def _paired(dataset: Any) -> TensorDataset:
    """Return images and labels as a data set; say what to pass instead of anything else."""
    if isinstance(dataset, TensorDataset):
        return dataset
    if isinstance(dataset, (tuple, list)) and len(dataset) == 2:
        return TensorDataset(*dataset)
    if isinstance(dataset, Split):
        found = f"the two parts of {dataset.name!r}; pass its .train or its .test"
    elif hasattr(dataset, "shape"):
        found = f"one array of shape {tuple(dataset.shape)}; pass the labels too"
    elif isinstance(dataset, (tuple, list)):
        found = f"a {type(dataset).__name__} of {len(dataset)}"
    else:
        kind = type(dataset).__name__
        found = f"a {kind}; take them out of it, as in dataset.take(range(len(dataset)))"
    raise TypeError(
        "DeviceLoader: needs a TensorDataset or (images, labels), whole arrays that it can upload;"
        f" found {found}"
    )


def _checked(arrays: tuple[Array, ...]) -> tuple[Array, Array]:
    shapes = [array.shape for array in arrays]
    if len(arrays) != 2 or arrays[0].ndim != 4 or arrays[1].ndim != 1:
        raise ValueError(
            f"DeviceLoader: needs images (M, C, H, W) and labels (M,), found shapes {shapes}"
        )
    images, labels = arrays
    if labels.dtype.kind not in "iu":
        raise ValueError(
            f"DeviceLoader: labels must be integers (class numbers), found {labels.dtype}"
        )
    if not (images.dtype == np.uint8 or devices.is_float(images.dtype)):
        raise ValueError(f"DeviceLoader: images must be uint8 or floating, found {images.dtype}")
    return images, labels


def _per_channel(
    name: str, values: Sequence[float] | None, channels: int, default: float
) -> np.ndarray[Any, Any]:
    if values is None:
        return np.full(channels, default)
    found = np.asarray(values, np.float64)
    if found.shape != (channels,):
        raise ValueError(
            f"DeviceLoader: {name} must have one number per channel, {channels}; found"
            f" {found.tolist()}"
        )
    if not np.isfinite(found).all():
        raise ValueError(f"DeviceLoader: {name} must be finite, found {found.tolist()}")
    return found
