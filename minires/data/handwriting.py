"""Handwritten digits that need no download."""

from __future__ import annotations

import numpy as np

from .dataset import TensorDataset
from .split import Split, stratified


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
    from sklearn.datasets import load_digits

    source = load_digits()
    labels = source.target.astype(np.int64)
    images = source.images[:, None] / 16  # (N, 1, 8, 8)
    train, test = stratified(labels, test_share=0.2, seed=seed)
    mean, std = images[train].mean(), images[train].std()
    normalised = (images - mean) / std
    images = normalised.astype(np.float32)
    return Split(
        train=TensorDataset(images[train], labels[train]),
        test=TensorDataset(images[test], labels[test]),
        name="digits",
        classes=10,
        channels=1,
        image_size=(8, 8),
        mean=(float(mean),),
        std=(float(std),),
    )
