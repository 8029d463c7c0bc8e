"""Batch normalisation, addition and ReLU as the NumPy device does them: in few passes.

The formulas stand in `normalization`, whose kernels these must equal. In memory a batch of images
is a matrix of pixels (M, C). Chunks of it that fit the cache go through all steps in turn. Vectors
of the channels are repeated to the length of a row: short inner loops make NumPy slow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import buffers, rows, threads
from . import passes as numpy_passes
from .layout import blas_computes, channels_first, channels_last
from .normalization import BatchGradients, NormalizationKernels, Normalizer

Array = Any

# |mean| / std from which the difference of large numbers costs digits that float32 has not.
STEEP = 4.0


class BlockedNormalization(NormalizationKernels):
    """The kernels of `NormalizationKernels` for float32 and float64, fast.

    Attributes
    ----------
    passes : module
        What computes single passes: `passes`, or `compiled_passes` where Numba is installed.
    """

    passes: Any = numpy_passes

    def batch_statistics(self, x: Array) -> tuple[Array, Array]:
        """Mean and (biased) variance of each channel, two vectors (C,).

        In one pass, from sums of x and x^2; in a second one around the mean found where that is
        large beside the standard deviation, for the difference E[x^2] - E[x]^2 loses digits.
        """
        if not blas_computes(x):
            return super().batch_statistics(x)
        pixels = channels_last(x)
        mean, variance = self._moments(pixels, None)
        if _steep(mean, variance):
            shift = mean.astype(x.dtype)
            rest, variance = self._moments(pixels, shift)
            mean = shift + rest
        return mean.astype(x.dtype), variance.astype(x.dtype)

    def normalize(
        self, x: Array, by: Normalizer, shortcut: Array | None = None, rectify: bool = False
    ) -> Array:
        """(x - mean) / sqrt(variance + eps) * weight + bias; plus the shortcut; ReLU."""
        if not blas_computes(x, *(a for a in (*by[:4], shortcut) if a is not None)):
            return super().normalize(x, by, shortcut, rectify)
        pixels = channels_last(x)
        y = buffers.empty(pixels.shape, x.dtype)
        sources = [pixels] if shortcut is None else [pixels, channels_last(shortcut)]
        c, passes = x.shape[1], self.passes
        mean, scale, shift = by.mean.astype("float64"), _scale(by), by.bias
        shift = np.zeros(c) if shift is None else shift.astype("float64")
        repeat = _repeater(pixels)
        centre = repeat(mean) if _steep(mean, by.variance) else None
        shift = repeat(shift if centre is not None else shift - mean * scale)
        scale = repeat(scale)

        def compute(part: slice) -> None:
            for made, seen, *others in rows.of(c, part, y, *sources):
                cut = [_fit(vector, seen) for vector in (centre, scale, shift)]
                passes.normalized(seen, *cut, others[0] if others else None, rectify, made)

        threads.run(compute, threads.shares(x.size // c, rows.GRAIN // c + 1))
        return channels_first(y)

    def batch_norm_backward(
        self,
        g: Array,
        x: Array,
        by: Normalizer,
        output: Array | None = None,
        with_shortcut: bool = False,
    ) -> BatchGradients:
        """Gradients of `normalize`, in two passes: masked g and its sums, then dx.

        With S1 = sum(g), S2 = sum(g * (x - k)) for any k (0, or the mean where that is large),
        a = weight / std, d_weight = (S2 - (mean - k) * S1) / std and b = -a * d_weight / std / M:
        dx = a * g + b * (x - k) - a * S1 / M - b * (mean - k).
        """
        if not blas_computes(g, x, *(a for a in (*by[:4], output) if a is not None)):
            return super().batch_norm_backward(g, x, by, output, with_shortcut)
        c, passes = x.shape[1], self.passes
        pixels, arriving = channels_last(x), channels_last(g)
        repeat = _repeater(pixels)
        centre = repeat(by.mean) if _steep(by.mean, by.variance) else None
        masked, sources = arriving, [arriving, pixels]
        if output is not None:
            masked = buffers.empty(pixels.shape, x.dtype)
            sources += [channels_last(output), masked]
        shares = threads.shares(x.size // c, rows.GRAIN // c + 1)

        def sums(part: slice) -> Array:
            total = np.zeros((2, c))
            for incoming, seen, *relu in rows.of(c, part, *sources):
                cut = _fit(centre, seen)
                found = passes.products(incoming, seen, cut, *(relu or (None, None)))
                total += [_per_channel(row, c) for row in found]
            return total

        first, second = sum(threads.run(sums, shares))
        scale, inverse_std = _scale(by), 1 / np.sqrt(by.variance.astype("float64") + by.eps)
        offset = by.mean.astype("float64") if centre is None else 0.0
        d_weight = (second - offset * first) * inverse_std
        factor = -scale * d_weight * inverse_std * c / x.size
        shift = -scale * first * c / x.size - factor * offset
        scale, factor, shift = (repeat(vector) for vector in (scale, factor, shift))
        # The masked gradient is nobody else's unless a shortcut wants it too.
        dx = masked
        if output is None or with_shortcut:
            dx = buffers.empty(pixels.shape, x.dtype)

        def combine(part: slice) -> None:
            for passed, seen, made in rows.of(c, part, masked, pixels, dx):
                if by.constant:
                    passes.scaled(passed, _fit(scale, seen), made)
                else:
                    cut = [_fit(vector, seen) for vector in (centre, scale, factor, shift)]
                    passes.combined(passed, seen, *cut, made)

        threads.run(combine, shares)
        return BatchGradients(
            channels_first(dx),
            channels_first(masked) if with_shortcut else None,
            d_weight.astype(x.dtype),
            first.astype(x.dtype),
        )

    def _moments(self, pixels: Array, shift: Array | None) -> tuple[Array, Array]:
        """Mean and variance of each channel of (pixels - shift), from sums and squares."""
        c = pixels.shape[-1]
        count = pixels.size // c
        centre = None if shift is None else _repeater(pixels)(shift)

        def sums(part: slice) -> Array:
            total = np.zeros((2, c))
            for (seen,) in rows.of(c, part, pixels):
                found = self.passes.moments(seen, _fit(centre, seen))
                total += [_per_channel(row, c) for row in found]
            return total

        mean, square = sum(threads.run(sums, threads.shares(count, rows.GRAIN // c + 1))) / count
        return mean, np.maximum(square - mean * mean, 0)


def _steep(mean: Array, variance: Array) -> bool:
    """Tell whether a channel's mean is so large beside its spread that sums lose its digits."""
    mean, variance = mean.astype("float64"), variance.astype("float64")
    return not bool(((mean * mean <= STEEP * STEEP * variance) & np.isfinite(variance)).all())


def _scale(by: Normalizer) -> Array:
    """weight / std, in float64."""
    inverse_std = 1 / np.sqrt(by.variance.astype("float64") + by.eps)
    return inverse_std if by.weight is None else inverse_std * by.weight


def _repeater(pixels: Array) -> Callable[[Array], Array]:
    """Return what repeats a vector (C,) to the length of a row, in the dtype of the pixels."""
    times = max(1, rows.LENGTH // pixels.shape[-1])
    return lambda vector: rows.repeated(vector, times, pixels.dtype)


def _per_channel(row: Array, c: int) -> Array:
    """Add the values of a row that belong to the same channel, in float64."""
    return row.reshape(-1, c).sum(0, dtype="float64")


def _fit(vector: Array | None, values: Array) -> Array | None:
    """Cut a repeated vector to the length of these rows, the last of which may be short."""
    return None if vector is None else vector[: values.shape[1]]
