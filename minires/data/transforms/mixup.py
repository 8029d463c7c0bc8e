"""Images that are two at once, with labels that say so."""

from __future__ import annotations

import numpy as np

from .transform import Array

_STREAM = 2  # apart from the numbers of orders, [seed, epoch], and of a DeviceLoader


class MixUp:
    """Mix each image of a batch with another one of it, and their labels likewise.

    Image and partner are weighted with w and 1 - w, where w is drawn anew for every batch. The
    partner is drawn from the batch; it may be the image itself.

    Parameters
    ----------
    alpha : float
        w is distributed as Beta(`alpha`, `alpha`): mostly near 0 and 1 where that is small.
    classes : int
        How many there are: labels 0 to classes - 1 become shares (N, classes), float32.

    Raises
    ------
    ValueError
        If `alpha` is not positive or `classes` is below 1; on use, if a label is no class.

    References
    ----------
    Zhang, Cisse, Dauphin and Lopez-Paz, mixup: Beyond Empirical Risk Minimization, ICLR 2018.

    Examples
    --------
    >>> black, white = np.zeros((1, 1, 1, 1)), np.ones((1, 1, 1, 1))
    >>> first, second = np.array([0]), np.array([1])
    >>> images, labels = MixUp(1.0, classes=2).mix(black, first, white, second, weight=0.25)
    >>> images.item(), labels.tolist()
    (0.75, [[0.25, 0.75]])
    """

    def __init__(self, alpha: float, classes: int) -> None:
        if not (np.isfinite(alpha) and alpha > 0):
            raise ValueError(f"MixUp: alpha must be finite and positive, found {alpha}")
        if classes < 1:
            raise ValueError(f"MixUp: classes must be at least 1, found {classes}")
        self.alpha = alpha
        self.classes = classes

    def draw(self, seed: int, epoch: int, batch: int, count: int) -> tuple[float, Array]:
        """Return the weight of a batch, and for each of its `count` places that of the partner."""
        random = np.random.default_rng([seed, epoch, _STREAM, batch])
        return float(random.beta(self.alpha, self.alpha)), random.permutation(count)

    def mix(
        self, images: Array, labels: Array, others: Array, others_labels: Array, weight: float
    ) -> tuple[Array, Array]:
        """Return `weight` times images and labels, and one minus it times the others.

        Parameters
        ----------
        images, others : array, (N, C, H, W), floating
        labels, others_labels : array of int, (N,)
        weight : float
            In 0..1.

        Returns
        -------
        images : array, (N, C, H, W)
        labels : array, (N, classes), float32
        """
        if images.dtype.kind != "f":
            raise ValueError(
                f"MixUp: needs floating images, found {images.dtype}; put a Normalize last among"
                " the loader's transforms"
            )
        mixed = images * images.dtype.type(weight)
        mixed += others * images.dtype.type(1 - weight)
        shares = np.zeros((len(mixed), self.classes), np.float32)
        place = np.arange(len(mixed))
        shares[place, self._checked(labels)] += np.float32(weight)
        shares[place, self._checked(others_labels)] += np.float32(1 - weight)
        return mixed, shares

    def _checked(self, labels: Array) -> Array:
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise ValueError(
                f"MixUp: needs labels (N,) that are class numbers, found {labels.dtype}"
                f" {labels.shape}"
            )
        wrong = (labels < 0) | (labels >= self.classes)
        if wrong.any():
            raise ValueError(
                f"MixUp: label {labels[wrong][0]} is none of {self.classes} classes, 0 to"
                f" {self.classes - 1}"
            )
        return labels

    def __repr__(self) -> str:
        return f"MixUp(alpha={self.alpha}, classes={self.classes})"
