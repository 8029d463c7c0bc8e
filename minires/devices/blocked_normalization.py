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
from .layout import channels_first, channels_last
from .normalization import BatchGradients, NormalizationKernels, Normalizer

Array = Any

# |mean| / std from which the difference of large numbers costs digits that float32 has not.
STEEP = 4.0


class BlockedNormalization(NormalizationKernels):
    """The kernels of `NormalizationKernels` for float32 and float64, fast."""

    def batch_statistics(self, x: Array) -> tuple[Array, Array]:
        """Mean and (biased) variance of each channel, two vectors (C,).

        In one pass, from sums of x and x^2; in a second one around the mean found where that is
        large beside the standard deviation, for the difference E[x^2] - E[x]^2 loses digits.
        """
        if not _fast(x):
            return super().batch_statistics(x)
        pixels = channels_last(x)
        mean, variance = _moments(pixels, None)
        if _steep(mean, variance):
            shift = mean.astype(x.dtype)
            rest, variance = _moments(pixels, shift)
            mean = shift + rest
        return mean.astype(x.dtype), variance.astype(x.dtype)

    def normalize(
        self, x: Array, by: Normalizer, shortcut: Array | None = None, rectify: bool = False
    ) -> Array:
        """(x - mean) / sqrt(variance + eps) * weight + bias; plus the shortcut; ReLU."""
        if not _fast(x, *(a for a in (*by[:4], shortcut) if a is not None)):
            return super().normalize(x, by, shortcut, rectify)
        pixels = channels_last(x)
        y = buffers.empty(pixels.shape, x.dtype)
        sources = [pixels] if shortcut is None else [pixels, channels_last(shortcut)]
        mean, scale, shift = by.mean.astype("float64"), _scale(by), by.bias
        shift = np.zeros(len(mean)) if shift is None else shift.astype("float64")
        steep = _steep(mean, by.variance)
        if not steep:
            shift = shift - mean * scale
        repeat = _repeater(pixels)
        mean, scale, shift = (repeat(vector) for vector in (mean, scale, shift))
        zeros = np.zeros_like(shift)

        def compute(part: slice) -> None:
            for made, seen, *others in rows.of(x.shape[1], part, *map(rows.flat, (y, *sources))):
                width = seen.shape[1]
                if steep:
                    seen = np.subtract(seen, mean[:width], out=made)
                np.multiply(seen, scale[:width], out=made)
                made += shift[:width]
                for other in others:
                    made += other
                if rectify:
                    np.maximum(made, zeros[:width], out=made)

        threads.run(compute, threads.shares(x.size // x.shape[1], rows.GRAIN // x.shape[1] + 1))
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
        if not _fast(g, x, *(a for a in (*by[:4], output) if a is not None)):
            return super().batch_norm_backward(g, x, by, output, with_shortcut)
        pixels, incoming = channels_last(x), channels_last(g)
        steep = _steep(by.mean, by.variance)
        repeat = _repeater(pixels)
        centre = repeat(by.mean) if steep else None
        masked = incoming
        if output is not None:
            masked = buffers.empty(pixels.shape, x.dtype)
        shares = threads.shares(x.size // x.shape[1], rows.GRAIN // x.shape[1] + 1)
        c = x.shape[1]

        def sums(part: slice) -> Array:
            total = np.zeros((2, c))
            sources = (
                (incoming, pixels) if output is None else (incoming, pixels, masked, rectified)
            )
            scratch = _scratch(pixels)
            for arriving, seen, *rest in rows.of(c, part, *map(rows.flat, sources)):
                if rest:
                    arriving = rows.masked(arriving, rest[1], rest[0])
                seen = _centred(seen, centre, scratch)
                total[0] += _per_channel(_column_sums(arriving), c)
                total[1] += _per_channel(np.einsum("ij,ij->j", arriving, seen), c)
            return total

        rectified = None if output is None else channels_last(output)
        first, second = sum(threads.run(sums, shares))
        inverse_std = 1 / np.sqrt(by.variance.astype("float64") + by.eps)
        scale, offset = _scale(by), 0.0 if steep else by.mean.astype("float64")
        d_weight = (second - offset * first) * inverse_std
        factor = shift = np.zeros(c)
        if not by.constant:
            count = x.size // c
            factor = -scale * d_weight * inverse_std / count
            shift = -scale * first / count - factor * offset
        scale, factor, shift = (repeat(vector) for vector in (scale, factor, shift))
        # The masked gradient is nobody else's unless a shortcut wants it too.
        dx = masked
        if output is None or with_shortcut:
            dx = buffers.empty(pixels.shape, x.dtype)

        def combine(part: slice) -> None:
            scratch = _scratch(pixels)
            for arriving, seen, made in rows.of(c, part, *map(rows.flat, (masked, pixels, dx))):
                width = seen.shape[1]
                np.multiply(arriving, scale[:width], out=made)
                if by.constant:
                    continue
                piece = scratch[: len(seen), :width]
                np.multiply(_centred(seen, centre, scratch), factor[:width], out=piece)
                piece += shift[:width]
                made += piece

        threads.run(combine, shares)
        return BatchGradients(
            channels_first(dx),
            channels_first(masked) if with_shortcut else None,
            d_weight.astype(x.dtype),
            first.astype(x.dtype),
        )


def _fast(*arrays: Array) -> bool:
    """Tell whether these kernels know the dtype; there must be something to compute, too."""
    dtype = arrays[0].dtype
    return dtype.char in "fd" and all(a.dtype == dtype and a.size for a in arrays)


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
    return lambda vector: np.tile(vector.astype(pixels.dtype), times)


def _moments(pixels: Array, shift: Array | None) -> tuple[Array, Array]:
    """Mean and variance of each channel of (pixels - shift), from sums and sums of squares."""
    c = pixels.shape[-1]
    count = pixels.size // c
    centre = None if shift is None else _repeater(pixels)(shift)

    def sums(part: slice) -> Array:
        total = np.zeros((2, c))
        scratch = _scratch(pixels)
        for (seen,) in rows.of(c, part, rows.flat(pixels)):
            seen = _centred(seen, centre, scratch)
            total[0] += _per_channel(_column_sums(seen), c)
            total[1] += _per_channel(np.einsum("ij,ij->j", seen, seen), c)
        return total

    mean, square = sum(threads.run(sums, threads.shares(count, rows.GRAIN // c + 1))) / count
    return mean, np.maximum(square - mean * mean, 0)


def _column_sums(values: Array) -> Array:
    """Sum over the rows, as a product with ones: BLAS adds them pairwise on its vector lanes."""
    with np.errstate(invalid="ignore"):
        return np.ones(len(values), values.dtype) @ values


def _per_channel(row: Array, c: int) -> Array:
    """Add the values of a row that belong to the same channel, in float64."""
    return row.reshape(-1, c).sum(0, dtype="float64")


def _scratch(pixels: Array) -> Array:
    """Allocate room for one chunk of these pixels."""
    c = pixels.shape[-1]
    width = max(1, rows.LENGTH // c) * c
    return buffers.empty((max(1, rows.CHUNK // width), width), pixels.dtype)


def _centred(values: Array, centre: Array | None, scratch: Array) -> Array:
    """Subtract the channels' centre, if there is one, into the scratch."""
    if centre is None:
        return values
    width = values.shape[1]
    return np.subtract(values, centre[:width], out=scratch[: len(values), :width])
