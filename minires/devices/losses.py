"""Softmax and cross-entropy on plain arrays.

Letters: N rows, C classes. A row's loss is -log of the probability of its label, with
p = softmax(logits); with label smoothing s the target is 1 - s for the label plus s / C for all.
"""

from __future__ import annotations

from typing import Any

from .dtypes import accumulator
from .elementwise import ElementwiseKernels

Array = Any


class LossKernels(ElementwiseKernels):
    """The device's kernels for losses, written with its `xp`."""

    def cross_entropy(
        self,
        logits: Array,
        labels: Array,
        ignore_index: int,
        smoothing: float,
        weight: Array | None = None,
    ) -> Array:
        """Loss of each row of logits (N, C), as (N,); a class c counts `weight[c]` times.

        It is 0 where the label is `ignore_index`, and NaN where the label is no class.
        """
        xp, classes = self.xp, logits.shape[1]
        log_p = logits - logits.max(1, keepdims=True)
        total = xp.exp(log_p).sum(1, dtype=accumulator(logits.dtype), keepdims=True)
        log_p = log_p - xp.log(total).astype(logits.dtype)
        if weight is not None:
            log_p = log_p * weight
        known = (labels >= 0) & (labels < classes)
        rows = xp.arange(labels.shape[0])
        loss = -log_p[rows, xp.where(known, labels, 0)] * (1 - smoothing)
        if smoothing:
            loss = loss - log_p.mean(1) * smoothing
        nan = loss.dtype.type(xp.nan)
        loss = xp.where(known, loss, nan)
        return xp.where(labels == ignore_index, loss.dtype.type(0), loss)

    def cross_entropy_backward(
        self,
        g: Array,
        logits: Array,
        labels: Array,
        ignore_index: int,
        smoothing: float,
        weight: Array | None = None,
    ) -> Array:
        """Gradient of `cross_entropy` in the logits, from that of its rows, g (N,).

        The loss is -<target, log p>, and so the gradient p * sum(target) - target.
        """
        xp, classes = self.xp, logits.shape[1]
        powers = xp.exp(logits - logits.max(1, keepdims=True))
        total = powers.sum(1, dtype=accumulator(logits.dtype), keepdims=True)
        p = (powers / total).astype(logits.dtype)
        hit = labels[:, None] == xp.arange(classes)
        number, uniform = p.dtype.type, smoothing / classes
        target = xp.where(hit, number(1 - smoothing + uniform), number(uniform))
        if weight is not None:
            target = target * weight
            p = p * target.sum(1, keepdims=True)
        counted = xp.where(labels == ignore_index, g.dtype.type(0), g)
        return (p - target) * counted[:, None]
