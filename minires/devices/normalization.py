"""Batch normalisation on plain arrays, fused into few passes.

An input (N, C, *spatial) is normalised per channel C over all other axes; M = N * prod(spatial)
is the number of values per channel. Formulas: Ioffe and Szegedy 2015 (arXiv 1502.03167).
"""

from __future__ import annotations

from typing import Any

from .dtypes import accumulator

Array = Any


def _per_channel(vector: Array, ndim: int) -> Array:
    """View a vector (C,) so that it broadcasts along axis 1 of an `ndim`-dimensional array."""
    return vector.reshape((1, -1) + (1,) * (ndim - 2))


class NormalizationKernels:
    """The device's batch-normalisation kernels, written with its `xp`."""

    xp: Any

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

    def normalize(
        self, x: Array, mean: Array, variance: Array, weight: Array, bias: Array, eps: float
    ) -> Array:
        """(x - mean) / sqrt(variance + eps) * weight + bias, channel by channel."""
        inverse_std = 1 / self.xp.sqrt(variance + variance.dtype.type(eps))
        scale = inverse_std if weight is None else inverse_std * weight
        y = (x - _per_channel(mean, x.ndim)) * _per_channel(scale, x.ndim)
        y = y if bias is None else y + _per_channel(bias, x.ndim)
        return y.astype(x.dtype, copy=False)

    def batch_norm_backward(
        self, g: Array, x: Array, weight: Array, mean: Array, variance: Array, eps: float
    ) -> tuple[Array, Array, Array]:
        """Gradients of training-mode batch normalisation in x, weight and bias.

        With x_hat the normalised input and sums over the M values of a channel:
        dx = weight / std * (g - sum(g) / M - x_hat * sum(g * x_hat) / M).
        """
        axes = (0, *range(2, x.ndim))
        count = x.size // x.shape[1]
        inverse_std = 1 / self.xp.sqrt(variance + variance.dtype.type(eps))
        x_hat = (x - _per_channel(mean, x.ndim)) * _per_channel(inverse_std, x.ndim)
        d_bias = g.sum(axes, dtype=accumulator(g.dtype))
        d_weight = (g * x_hat).sum(axes)
        scale = inverse_std if weight is None else inverse_std * weight
        dx = g - _per_channel(d_bias / count, x.ndim)
        dx -= x_hat * _per_channel(d_weight / count, x.ndim)
        dx *= _per_channel(scale, x.ndim)
        return dx, d_weight, d_bias
