"""Networks that others trained, with images to try them on."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np

from minires.data import TensorDataset
from minires.models import CifarResNet
from minires.models.weights.catalogue import find

from .images import Images, lossless_cifar, trained


class Pretrained(NamedTuple):
    """A network that others trained, and images.

    Attributes
    ----------
    model : CifarResNet
        In evaluation mode.
    images : TensorDataset
        Prepared as the network wants them, with labels.
    about : dict
        Which images and which weights these are, to stand with a result.
    """

    model: CifarResNet
    images: TensorDataset
    about: dict[str, Any]


def pretrained(name: str, count: int, seed: int) -> Pretrained:
    """Return a network that others trained, and some images; another seed has others.

    Those are digits that a network of digits has not learned from; for all others original CIFAR-10
    *training* images, from which they have learned.

    Parameters
    ----------
    name : str
        Of the weights, such as ``"cifar_resnet56"``.
    count, seed : int

    Examples
    --------
    >>> found = pretrained("cifar_resnet20_digits", count=5, seed=2)
    >>> found.images.arrays[0].shape
    (5, 1, 8, 8)
    >>> found.about["from"]
    10
    """
    model = trained(name)
    assert isinstance(model, CifarResNet)
    entry, first = find(name), seed * count
    if name.endswith("_digits"):
        pixels, labels = Images("digits").read().test.arrays
        chosen = np.arange(first, first + count) % len(labels)
        pixels, labels, called = pixels[chosen], labels[chosen], "digits, test images"
    else:
        pixels, labels = lossless_cifar(count, skip=first)
        card = entry.card.preprocessing
        mean, std = (np.array(each, np.float32)[:, None, None] for each in (card.mean, card.std))
        pixels, called = (pixels - mean) / std, "cifar10, original training images"
    images = TensorDataset(pixels, labels)
    about = {"name": called, "from": first, "count": count, "digest": _digest(images)}
    return Pretrained(model, images, {**about, "weights": name, "sha256": entry.sha256})


def _digest(images: TensorDataset) -> str:
    """Return the SHA-256 of images and labels."""
    summed = hashlib.sha256()
    for array in images.arrays:
        summed.update(np.ascontiguousarray(array).data)
    return summed.hexdigest()
