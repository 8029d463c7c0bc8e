"""Statistics of arrays that are not on the host: launched now, read when a recording ends.

They are those of `minires.trace.statistics`, over all elements: what reads an array once
gains nothing by a sample.
"""

from __future__ import annotations

import math

from minires import devices
from minires.devices import Array
from minires.devices.summary import SUMMARY_FIELDS

from .records import Stats


def unread() -> Stats:
    """Return statistics that are still to be read."""
    nan = math.nan
    return Stats(nan, nan, nan, nan, nan, nan, nan, nan)


def fill(stats: Stats, size: int, summary: Array) -> None:
    """Fill in statistics of an array of `size` elements, by what the device's `summarize` gave."""
    of = dict(zip(SUMMARY_FIELDS, summary.tolist(), strict=True))
    stats.nans, stats.infs = int(of["nan"]), int(of["inf"])
    stats.zeros, stats.tiny = of["zero"] / size, of["tiny"] / size
    stats.norm = of["largest"] * math.sqrt(of["square"])
    if stats.finite:
        stats.mean = of["sum"] / size if math.isfinite(of["sum"]) else math.nan
        stats.std = of["largest"] * math.sqrt(of["spread"] / size)
        stats.min, stats.max = of["min"], of["max"]
    else:
        stats.norm = math.nan if stats.nans else math.inf
    stats.rms = stats.norm / math.sqrt(size)


def weigh_sum(parts: list[Array], total: Array) -> Array:
    """Add contributions again and compare with the engine's sum; see `statistics.verify_sum`.

    Parameters
    ----------
    parts : list of array
        Two or more, of one shape and dtype.
    total : array

    Returns
    -------
    array, (2 + len(parts),), float64, on the device
        1 if the sum is the same to the bit (NaN counts as equal to NaN), else 0; then <total,
        total> and each <part, total>, all over the square of the total's largest number.
    """
    device = devices.of(total)
    xp = device.xp
    again = parts[0]
    for part in parts[1:]:
        again = again + part
    bits = f"u{total.dtype.itemsize}"
    again, found = xp.ascontiguousarray(again), xp.ascontiguousarray(total)
    same = again.view(bits) == found.view(bits)
    # A NaN may carry any bits.
    equal = (same | (xp.isnan(again) & xp.isnan(found))).all()
    wide = found.astype("float64")
    largest = abs(wide).max() if wide.size else xp.zeros(())
    scaled = wide / largest
    products = [(part.astype("float64") / largest * scaled).sum() for part in (total, *parts)]
    return xp.stack([equal.astype("float64"), *products])


def weighed(sums: Array) -> tuple[bool, list[float | None]]:
    """Return what `verify_sum` returns, from what `weigh_sum` did."""
    equal, square, *products = sums.tolist()
    if not (square > 0 and math.isfinite(square)):
        return bool(equal), [None] * len(products)
    return bool(equal), [p / square if math.isfinite(p) else None for p in products]
