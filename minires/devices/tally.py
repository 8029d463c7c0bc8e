"""Keeping count of losses and mistakes on the device, so that nobody has to wait for them.

Letters: N rows, C classes.
"""

from __future__ import annotations

from typing import Any

Array = Any


class TallyKernels:
    """The device's kernels for what a training loop measures, written with its `xp`."""

    xp: Any

    def mistakes(self, logits: Array, labels: Array) -> Array:
        """Count the rows of logits (N, C) whose largest entry is not at labels (N,); no axes.

        Of soft labels (N, C) the largest counts. A row that holds NaN or infinity answers nothing,
        and counts as a mistake.
        """
        xp = self.xp
        if labels.ndim == logits.ndim:
            labels = labels.argmax(axis=1)
        right = (logits.argmax(axis=1) == labels) & xp.isfinite(logits).all(axis=1)
        return xp.subtract(labels.shape[0], right.sum())

    def tally(self, rows: Array, filled: Array, loss: Array, logits: Array, labels: Array) -> None:
        """Write a batch's loss and number of mistakes into the next row.

        Parameters
        ----------
        rows : array, (R, 2), float64
            Written into.
        filled : array, (1,), int32
            How many rows are written already; one more afterwards. Because it is on the device, a
            captured call goes on to the next row in each replay.
        loss : array, ()
        logits : array, (N, C)
        labels : array, (N,), int64, or (N, C), floating
        """
        at = filled[0]
        rows[at, 0] = loss.astype(rows.dtype)
        rows[at, 1] = self.mistakes(logits, labels).astype(rows.dtype)
        filled += 1
