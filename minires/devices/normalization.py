"""Batch normalisation on plain arrays, with the addition and ReLU that follow it in a block.

An input (N, C, *spatial) is normalised per channel C over all other axes; M = N * prod(spatial)
is the number of values per channel. Formulas: Ioffe and Szegedy 2015 (arXiv 1502.03167).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .dtypes import accumulator
from .elementwise import ElementwiseKernels

Array = Any


class Normalizer(NamedTuple):
    """What a batch is normalised by, and scaled with: vectors (C,).

    `constant` tells that mean and variance are not the batch's own, and so have no gradient.
    """

    mean: Array
    variance: Array
    weight: Array | None
    bias: Array | None
    eps: float
    constant: bool = False

    def inverse_std(self, xp: Any) -> Array:
        """1 / sqrt(variance + eps)."""
        return 1 / xp.sqrt(self.variance + self.variance.dtype.type(self.eps))


class BatchGradients(NamedTuple):
    """Gradients of a normalisation: in its input, in the shortcut, in weight and bias."""

    dx: Array
    d_shortcut: Array
    d_weight: Array
    d_bias: Array


def _per_channel(vector: Array, ndim: int) -> Array:
    """View a vector (C,) so that it broadcasts along axis 1 of an `ndim`-dimensional array."""
    return vector.reshape((1, -1) + (1,) * (ndim - 2))


class NormalizationKernels(ElementwiseKernels):
    """The device's kernels for batch normalisation, written with its `xp`."""

    def batch_statistics(self, x: Array) -> tuple[Array, Array]:
        """Mean and (biased) variance of each channel, two vectors (C,), at least float32."""
        axes = (0, *range(2, x.ndim))
        precise = accumulator(x.dtype)
        mean = x.mean(axes, dtype=precise)
        centred = self.xp.subtract(x, _per_channel(mean, x.ndim), dtype=precise)
        # A second look at the remainder takes away the rounding of the first mean.
        rest = centred.mean(axes)
        variance = self.xp.square(centred).mean(axes) - rest * rest
        return mean + rest, variance

    def batch_norm(
        self,
        x: Array,
        weight: Array | None,
        bias: Array | None,
        eps: float,
        running: tuple[Array, Array] | None,
        momentum: float,
        shortcut: Array | None = None,
        rectify: bool = False,
    ) -> tuple[Array, tuple[Array, Array]]:
        """Normalise a batch by its own statistics, which are returned too, as in training.

        The running mean and variance, if given, are moved towards the batch's by `momentum`; the
        running variance estimates the unbiased one.
        """
        mean, variance = self.batch_statistics(x)
        self.move_statistics(running, mean, variance, momentum, x.size // x.shape[1])
        by = Normalizer(mean, variance, weight, bias, eps)
        return self.normalize(x, by, shortcut, rectify), (mean, variance)

    def move_statistics(
        self,
        running: tuple[Array, Array] | None,
        mean: Array,
        variance: Array,
        momentum: float,
        count: int,
    ) -> None:
        """Move running statistics, in place, towards those of a batch of `count` values."""
        if running is None:
            return
        unbiased = variance * (count / (count - 1)) if count > 1 else variance
        for statistic, batch in zip(running, (mean, unbiased), strict=True):
            statistic[...] = statistic * (1 - momentum) + batch * momentum

    def normalize(
        self, x: Array, by: Normalizer, shortcut: Array | None = None, rectify: bool = False
    ) -> Array:
        """(x - mean) / sqrt(variance + eps) * weight + bias, channel by channel.

        Then, in a block, plus the shortcut, and ReLU.
        """
        inverse_std = by.inverse_std(self.xp)
        scale = inverse_std if by.weight is None else inverse_std * by.weight
        y = (x - _per_channel(by.mean, x.ndim)) * _per_channel(scale, x.ndim)
        y = y if by.bias is None else y + _per_channel(by.bias, x.ndim)
        y = y.astype(x.dtype, copy=False)
        y = y if shortcut is None else self.add(y, shortcut)
        return self.relu(y) if rectify else y

    def batch_norm_backward(
        self,
        g: Array,
        x: Array,
        by: Normalizer,
        output: Array | None = None,
        with_shortcut: bool = False,
    ) -> BatchGradients:
        """Gradients of `normalize`; `output` is given if a ReLU made it.

        With x_hat the normalised input and sums over the M values of a channel:
        dx = weight / std * (g - sum(g) / M - x_hat * sum(g * x_hat) / M). The shortcut receives g,
        masked by the ReLU; it may be the very array given, and is None unless asked for.
        """
        g = g if output is None else self.relu_backward(g, output)
        axes = (0, *range(2, x.ndim))
        inverse_std = by.inverse_std(self.xp)
        x_hat = (x - _per_channel(by.mean, x.ndim)) * _per_channel(inverse_std, x.ndim)
        d_bias = g.sum(axes, dtype=accumulator(g.dtype))
        d_weight = (g * x_hat).sum(axes)
        scale = inverse_std if by.weight is None else inverse_std * by.weight
        dx = g
        if not by.constant:
            count = x.size // x.shape[1]
            dx = g - _per_channel(d_bias / count, x.ndim)
            dx -= x_hat * _per_channel(d_weight / count, x.ndim)
        dx = dx * _per_channel(scale, x.ndim)
        return BatchGradients(dx, g if with_shortcut else None, d_weight, d_bias)
