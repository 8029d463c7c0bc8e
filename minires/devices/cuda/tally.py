"""Loss and mistakes of a batch, noted by one kernel.

Letters: N rows, C classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tally import TallyKernels
from .blocks import GROUP_SUM
from .kernel import Kernel
from .launching import Launching

Array = Any


def tally_plain(
    logits: Array, labels: Array, loss: Array, rows: Array, filled: Array, N: int, C: int
) -> None:
    """Write (loss, mistakes) into row `filled`, and count it.

    Parameters
    ----------
    logits, labels, loss : array, (N, C), (N,) and (), T, int64 and T
    rows : array, (capacity, 2), float64
        Written.
    filled : array, (1,), int32
        How many rows are written; counted up.
    N, C : int
    """
    logits, labels = logits.reshape(N, C), labels.reshape(N)
    right = (logits.argmax(1) == labels) & np.isfinite(logits).all(1)
    rows.reshape(-1, 2)[filled[0]] = loss.reshape(()), N - right.sum()
    filled += 1


# One block, because all rows meet in one number; N is a batch, so there is little to do.
TALLY = Kernel(
    GROUP_SUM
    + r"""
extern "C" __global__ void tally(const T* logits, const long long* labels, const T* loss,
                                 double* rows, int* filled, int N, int C) {
    int wrong = 0;
    for (int n = threadIdx.x; n < N; n += BLOCK) {
        const T* row = logits + n * C;
        A largest = (A)row[0];
        int answer = 0;
        bool finite = true;
        for (int c = 0; c < C; ++c) {
            A score = (A)row[c];
            finite = finite && score - score == (A)0;  // not so for NaN and infinity
            if (score > largest) { largest = score; answer = c; }
        }
        if (!finite || answer != labels[n]) ++wrong;
    }
    int mistakes = block_sum(wrong);
    if (threadIdx.x == 0) {
        int at = filled[0];
        rows[2 * at] = (double)(A)loss[0];
        rows[2 * at + 1] = mistakes;
        filled[0] = at + 1;
    }
}
""",
    plain=tally_plain,
)


class CudaTally(Launching, TallyKernels):
    """Loss and mistakes of a batch, noted by one kernel."""

    def tally(self, rows: Array, filled: Array, loss: Array, logits: Array, labels: Array) -> None:
        """Write a batch's loss and number of mistakes into the next row; see `TallyKernels`."""
        dense = logits.flags.c_contiguous and labels.flags.c_contiguous
        if not dense or labels.dtype != np.int64 or loss.dtype != logits.dtype:
            super().tally(rows, filled, loss, logits, labels)
            return
        N, C = logits.shape
        self.launch(TALLY, 1, logits, labels, loss, rows, filled, N, C, T=logits.dtype)
