"""What is measured of an array where it lies: statistics for a trace, and a digest of its bits.

Both stay on the device, so that many of them can be copied to the host at once.
"""

from __future__ import annotations

import math
from typing import Any

Array = Any

# What `summarize` returns, in this order. All but the first two are about the finite elements:
#
# nan, inf, zero    how many elements are NaN, infinite, 0
# tiny              how many others are smaller than the dtype's smallest normal number
# min, max          infinity and -infinity if no element is finite
# sum               infinite if it leaves the range of float64
# square            sum of (x / largest)**2, so the Euclidean norm is largest * sqrt(square)
# largest           largest absolute value; 0 if no element is finite
# spread            sum of ((x - mean) / largest)**2
SUMMARY_FIELDS = (
    "nan",
    "inf",
    "zero",
    "tiny",
    "min",
    "max",
    "sum",
    "square",
    "largest",
    "spread",
)

# An odd number without a pattern: 2**64 divided by the golden ratio.
_ODD = 0x9E3779B97F4A7C15


class SummaryKernels:
    """The device's measurements of arrays, written with its `xp`."""

    xp: Any

    def summarize(self, array: Array) -> Array:
        """Return statistics of all elements, as an array that stays on the device.

        Parameters
        ----------
        array : array
            Of any shape, memory order and dtype; other than floats are taken as float64.

        Returns
        -------
        array, (len(SUMMARY_FIELDS),), float64
            What `SUMMARY_FIELDS` names.
        """
        xp = self.xp
        if array.size == 0:
            nothing = {"min": math.inf, "max": -math.inf}
            return xp.asarray([nothing.get(name, 0.0) for name in SUMMARY_FIELDS])
        x = array if array.dtype.kind == "f" else array.astype("float64")
        smallest = float(xp.finfo(x.dtype).tiny)
        x = x.reshape(-1).astype("float64")
        finite, zero = xp.isfinite(x), x == 0
        x = xp.where(finite, x, 0.0)
        count = finite.sum()
        largest = abs(x).max()
        size = xp.where(largest > 0, largest, 1.0)
        scaled = x / size
        mean = scaled.sum() / xp.maximum(count, 1)
        away = xp.where(finite, scaled - mean, 0.0)
        infinite = xp.isinf(array).sum()
        found = {
            "nan": x.size - count - infinite,
            "inf": infinite,
            "zero": zero.sum(),
            "tiny": (finite & ~zero & (abs(x) < smallest)).sum(),
            "min": xp.where(finite, x, xp.inf).min(),
            "max": xp.where(finite, x, -xp.inf).max(),
            "sum": scaled.sum() * size,
            "square": (scaled * scaled).sum(),
            "largest": largest,
            "spread": (away * away).sum(),
        }
        return xp.stack([found[name].astype("float64") for name in SUMMARY_FIELDS])

    def digest(self, array: Array) -> Array:
        """Return a number that changes with the array's bits, as an array that stays on the device.

        Parameters
        ----------
        array : array
            Of any shape and dtype.

        Returns
        -------
        array, (1,), uint64
            Below 2**32. It depends on the elements and their order by index, whatever their order
            in memory.
        """
        xp = self.xp
        # Words of at most 32 bits: a 64-bit word's sign times any odd factor is the same 2**63.
        word = min(array.dtype.itemsize, 4)
        bits = xp.ascontiguousarray(array).reshape(-1).view(f"u{word}")
        # Each word counts by a factor of its own, so that elements cannot trade places unseen. The
        # highest bits are those that every other one reaches.
        factors = xp.arange(1, 2 * bits.size, 2, dtype="uint64") * xp.uint64(_ODD)
        return (bits.astype("uint64") * factors).sum(keepdims=True) >> xp.uint64(32)
