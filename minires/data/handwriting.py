"""Handwritten digits that need no download."""

from __future__ import annotations

import numpy as np

from .dataset import TensorDataset
from .split import Split, rows_of, stratified


def digits(seed: int = 0) -> Split:
    """Return scikit-learn's 1,797 handwritten digits of 8x8 pixels, divided 80 to 20.

    Grey values 0 to 16 are divided by 16, then shifted and scaled to mean 0 and standard deviation
    1 over the training part. (Source: E. Alpaydin and C. Kaynak, Optical Recognition of
    Handwritten Digits, UCI 1998.)

    Parameters
    ----------
    seed : int
        Decides which fifth of each class is kept for testing.

    Returns
    -------
    Split
        Images (1, 8, 8), ten classes, 1,438 images to train on and 359 to test on.

    Examples
    --------
    >>> import minires as mr
    >>> split = mr.data.digits()
    >>> image, label = split.train[0]
    >>> image.shape, image.dtype, split.classes
    ((1, 8, 8), dtype('float32'), 10)
    """
    return grey_digits(seed).normalized()


def grey_digits(seed: int = 0) -> Split:
    """Return the digits of `digits` as grey values from 0 to 1, float32, which are exact."""
    from sklearn.datasets import load_digits

    source = load_digits()
    grey = source.images[:, None] / 16  # (N, 1, 8, 8), float64
    every = TensorDataset(grey.astype(np.float32), source.target.astype(np.int64))
    train, test = stratified(every.arrays[1], test_share=0.2, seed=seed)
    return Split(
        train=rows_of(every, train),
        test=rows_of(every, test),
        name="digits",
        class_names=tuple("0123456789"),
        statistics=((float(grey[train].mean()),), (float(grey[train].std()),)),
    )
