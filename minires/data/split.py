"""A data set in two parts: one to learn from, one to be judged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .dataset import TensorDataset

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Split:
    """Labelled images, divided into training and test part.

    Attributes
    ----------
    train, test : TensorDataset
        Images (C, H, W), float32, normalised, and labels, int64, 0 to classes - 1. They have no
        image in common.
    name : str
        The name in `get_dataset`.
    classes : int
        How many classes there are.
    channels : int
        C.
    image_size : (int, int)
        (H, W).
    mean, std : tuple of float
        For each channel, what was subtracted from the grey values in 0..1, and then divided by.
    """

    train: TensorDataset
    test: TensorDataset
    name: str
    classes: int
    channels: int
    image_size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def stratified(labels: Array, test_share: float, seed: int) -> tuple[Array, Array]:
    """Divide samples at random so that every class has the same share in the test part.

    Parameters
    ----------
    labels : array, (N,), int
    test_share : float
        Of each class; rounded to whole samples.
    seed : int

    Returns
    -------
    train, test : array of int
        The samples' numbers, rising; each sample is in one of them.

    Examples
    --------
    >>> train, test = stratified(np.array([0, 1, 0, 1]), test_share=0.5, seed=0)
    >>> len(train), len(test)
    (2, 2)
    """
    rng = np.random.default_rng(seed)
    for_test = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        for_test[members[: round(len(members) * test_share)]] = True
    return np.flatnonzero(~for_test), np.flatnonzero(for_test)
