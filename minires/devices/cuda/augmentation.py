"""Batches from a data set on the GPU, drawn by one kernel.

Letters: M images in all, N of them in a batch, C channels, H and W height and width.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..augmentation import AugmentationKernels
from .kernel import Kernel
from .launching import TOO_LARGE, Launching

Array = Any


class _OnHost(AugmentationKernels):
    xp = np


def gather_augment_plain(
    images: Array,
    labels: Array,
    schedule: Array,
    scale: Array,
    shift: Array,
    batch: Array,
    chosen: Array,
    start: int,
    L: int,
    N: int,
    C: int,
    H: int,
    W: int,
    padding: int,
) -> None:
    """Write the batch, whose memory is (C, N, H, W), and its labels.

    Parameters
    ----------
    images, labels : array, (M, C, H, W) and (M,), uint8 or T, and int64
    schedule : array, (4, L), int32
        Of an epoch of L images; columns `start` to `start + N` are used (`AugmentationKernels`).
    scale, shift : array, (C,), T
    batch, chosen : array, N*C*H*W and N elements, T and int64
        Written.
    start, L, N, C, H, W, padding : int
    """
    drawn = _OnHost().gather_augment(
        images.reshape(-1, C, H, W), labels, schedule.reshape(4, L), start, N, padding, scale, shift
    )
    batch.reshape(C, N, H, W)[...] = drawn[0].transpose(1, 0, 2, 3)
    chosen[...] = drawn[1]


# One thread per value of the batch, x running fastest, so that neighbours write side by side.
_SOURCE = r"""
extern "C" __global__ void gather_augment_NAME(const IMAGE* images, const long long* labels,
        const int* schedule, const T* scale, const T* shift, T* batch, long long* chosen,
        int start, int L, int N, int C, int H, int W, int padding) {
    unsigned i = blockIdx.x * BLOCK + threadIdx.x;
    if (i < (unsigned)N) chosen[i] = labels[schedule[start + i]];
    if (i >= (unsigned)(C * N * H * W)) return;
    int x = i % W, y = i / W % H, n = i / (W * H) % N, c = i / (W * H * N);
    const int* place = schedule + start + n;
    int number = place[0], top = place[L], left = place[2 * L], mirrored = place[3 * L];
    int column = (mirrored ? W - 1 - x : x) + left - padding;
    int row = y + top - padding;
    A value = 0;
    if (row >= 0 && row < H && column >= 0 && column < W)
        value = (A)images[(((long long)number * C + c) * H + row) * W + column];
    batch[i] = (T)(value * (A)scale[c] + (A)shift[c]);
}
"""
GATHER_BYTES, GATHER_FLOATS = (
    Kernel(_SOURCE.replace("NAME", name).replace("IMAGE", image), gather_augment_plain)
    for name, image in (("bytes", "unsigned char"), ("floats", "T"))
)


class CudaAugmentation(Launching, AugmentationKernels):
    """Batches from a data set on the GPU, drawn by one kernel."""

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
        """Draw a batch, whose memory is (C, N, H, W); see `AugmentationKernels`."""
        _, C, H, W = images.shape
        T = scale.dtype
        size = count * C * H * W
        if images.dtype not in (np.uint8, T) or size >= TOO_LARGE:
            return super().gather_augment(
                images, labels, schedule, start, count, padding, scale, shift
            )
        kernel = GATHER_BYTES if images.dtype == np.uint8 else GATHER_FLOATS
        batch = self.xp.empty((C, count, H, W), T)
        chosen = self.xp.empty(count, labels.dtype)
        self.launch(
            kernel, kernel.grid(size),
            images, labels, schedule, scale, shift, batch, chosen,
            start, schedule.shape[1], count, C, H, W, padding,
            T=T,
        )  # fmt: skip
        return batch.transpose(1, 0, 2, 3), chosen
