"""Batches drawn from images that lie on the device, cropped and mirrored on the way.

Letters: M images in all, N of them in a batch, C channels, H and W height and width.
"""

from __future__ import annotations

from typing import Any

Array = Any


class AugmentationKernels:
    """The device's kernel for drawing batches, written with its `xp`."""

    xp: Any

    def gather_augment(
        self,
        images: Array,
        labels: Array,
        schedule: Array,
        start: int,
        count: int,
        padding: int,
        scale: Array,
        shift: Array,
    ) -> tuple[Array, Array]:
        """Draw a batch: gather, pad with zeros, crop, mirror and normalise.

        Parameters
        ----------
        images : array, (M, C, H, W), uint8 or the dtype of `scale`
        labels : array, (M,), int64
        schedule : array, (4, L), int32
            For each place in the order of an epoch: the image's number; how many rows, and how many
            columns, of the padded image are left out before the crop; 1 if the crop is mirrored.
        start, count : int
            The batch is made of the places from `start`, and there are `count` of them, N.
        padding : int
            Width of the border of zeros on every side.
        scale, shift : array, (C,), floating
            A value v of channel c, those of the border too, becomes v * scale[c] + shift[c].

        Returns
        -------
        batch : array, (N, C, H, W), the dtype of `scale`
        labels : array, (N,), int64
        """
        xp = self.xp
        _, C, H, W = images.shape
        number, top, left, mirrored = schedule[:, start : start + count]
        across = xp.arange(W, dtype=xp.int32)
        x = xp.where(mirrored[:, None] != 0, W - 1 - across, across) + left[:, None] - padding
        y = xp.arange(H, dtype=xp.int32) + top[:, None] - padding  # (N, H); x is (N, W)
        inside = ((y >= 0) & (y < H))[:, None, :, None] & ((x >= 0) & (x < W))[:, None, None, :]
        values = images[
            number[:, None, None, None],
            xp.arange(C)[None, :, None, None],
            xp.clip(y, 0, H - 1)[:, None, :, None],
            xp.clip(x, 0, W - 1)[:, None, None, :],
        ]  # (N, C, H, W)
        values = xp.where(inside, values, values.dtype.type(0)).astype(scale.dtype)
        batch = values * scale[None, :, None, None] + shift[None, :, None, None]
        return batch, labels[number]
