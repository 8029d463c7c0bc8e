"""Summaries of arrays on the host: exact norms, quick statistics, sums verified.

A norm is one pass of BLAS, the quickest there is. Squares of small or large numbers leave the range
of their dtype, so a sum of squares near its ends is computed again, scaled, in float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from minires import devices
from minires.devices import Array, threads

from .records import Stats

# Up to so many elements every statistic is exact; of larger arrays the costlier ones are those of
# every k-th element in memory order, about SAMPLE of them, k without a divisor of the size.
EXACT = 1 << 14
SAMPLE = 1 << 10

# Elements that are looked at together: what a fork's sum is verified on stays in the cache.
CHUNK = 1 << 15


def flat(array: Array) -> Array:
    """Return all elements as one axis, in the order in which they lie in memory.

    A view wherever the array fills its memory, whatever the order of its axes.
    """
    if array.flags.c_contiguous:
        return array.reshape(-1)
    axes = sorted(range(array.ndim), key=lambda axis: array.strides[axis], reverse=True)
    return array.transpose(axes).reshape(-1)


def norm_of(array: Array) -> float:
    """Return the Euclidean norm over all elements; NaN or infinite if any of them is."""
    return _norm(flat(array))


def _norm(x: Array) -> float:
    xp = devices.of(x).xp
    if x.size == 0:
        return 0.0
    if x.dtype.kind != "f":
        x = x.astype(xp.float64)
    if x.dtype.itemsize >= 4:
        with devices.cpu.quiet(), one_blas_thread():
            squares = float(xp.dot(x, x))
        if _exponents_suffice(squares, x):
            return math.sqrt(squares)
    largest = float(abs(x).max())
    if largest == 0 or not math.isfinite(largest):
        return largest
    scaled = x.astype(xp.float64) / largest
    return largest * math.sqrt(float(xp.dot(scaled, scaled)))


def sample_of(x: Array) -> Array:
    """Return every k-th of the elements; all of a small array."""
    if x.size <= EXACT:
        return x
    step = max(x.size // SAMPLE - 1, 1)
    while math.gcd(step, x.size) > 1:  # else it could meet the same channel every time
        step += 1
    return x[::step]


def stats_of(array: Array, exact: bool = False) -> Stats:
    """Summarise an array.

    Parameters
    ----------
    array : array
        Of any dtype; other than floats are taken as float64.
    exact : bool
        Look at every element for every statistic, not only for norm, NaN and infinity.

    Returns
    -------
    Stats
    """
    xp = devices.of(array).xp
    x = flat(array)
    if x.size == 0:
        return Stats(0.0, 0.0, math.nan, math.nan, math.nan, math.nan, 0.0, 0.0)
    norm = _norm(x)
    nans = infs = 0
    if not math.isfinite(norm):
        nans = int(xp.isnan(x).sum())
        infs = int(xp.isinf(x).sum())
    taken = x if exact else sample_of(x)
    return Stats(
        norm,
        norm / math.sqrt(x.size),
        *_moments(taken),
        nans,
        infs,
        0 if taken.size == x.size else int(taken.size),
    )


def _moments(x: Array) -> tuple[float, float, float, float, float, float]:
    """Mean, std, min, max, and the shares of zeros and of numbers too small for the dtype."""
    xp = devices.of(x).xp
    smallest = float(xp.finfo(x.dtype).tiny) if x.dtype.kind == "f" else 0.0
    # Pieces that stay in the cache take a fraction of the time of the whole.
    pieces = [x[start : start + CHUNK] for start in range(0, x.size, CHUNK)]
    zeros = tiny = 0
    with devices.cpu.quiet(), one_blas_thread():
        mean = math.fsum(_finite_sum(piece) for piece in pieces) / x.size
        low, high = float(x.min()), float(x.max())
        # Squares of what lies farther out would leave even float64.
        farthest = max(high - mean, mean - low)
        scale = farthest if 0 < farthest < 1e-140 or 1e140 < farthest < math.inf else 1.0
        square = 0.0
        for piece in pieces:
            wide = piece.astype(xp.float64)
            found = piece.size - int(xp.count_nonzero(wide))
            zeros += found
            if smallest:
                tiny += int(xp.count_nonzero(abs(wide) < smallest)) - found
            wide -= mean
            if scale != 1:
                wide /= scale
            square += float(xp.dot(wide, wide))
    std = scale * math.sqrt(square / x.size)
    return mean, std, low, high, zeros / x.size, tiny / x.size


def _finite_sum(x: Array) -> float:
    total = float(x.sum(dtype="float64"))
    return total if math.isfinite(total) else math.nan


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep BLAS to one thread: on arrays as small as these more of them wait for each other."""
    held = threads.blas.hold()
    try:
        yield
    finally:
        threads.blas.let_go(held)


def checksum_of(array: Array) -> int:
    """Return a number that changes with an array's bits; from a GPU it is a copy to the host.

    On the CPU it is the CRC-32 of the bytes in the order in which they lie in memory.
    """
    device = devices.of(array)
    return device.fingerprint(flat(array) if device.synchronous else array)


def verify_sum(parts: list[Array], total: Array) -> tuple[bool, list[float | None]]:
    """Add contributions again, in their order, and compare with the engine's sum.

    Parameters
    ----------
    parts : list of array
        Two or more, of one shape and dtype.
    total : array

    Returns
    -------
    equal : bool
        Whether the sum is the same to the bit (NaN counts as equal to NaN).
    shares : list of float or None
        <part, total> / <total, total> for each part; None where the total is zero or not finite.
    """
    rows, whole = _side_by_side(parts, total)
    equal = _equals_sum(rows, whole)
    products, square = _products(rows, whole, 1.0)
    if not (_exponents_suffice(square, whole) and all(map(math.isfinite, products))):
        largest = float(abs(whole).max()) if whole.size else 0.0
        if not 0 < largest < math.inf:
            return equal, [None] * len(parts)
        products, square = _products(rows, whole, largest)
    shares = [product / square if math.isfinite(product) else None for product in products]
    return equal, shares


def shares_of(parts: Iterable[Array], total: Array) -> list[float | None]:
    """Return <part, total> / <total, total> for each part, on numbers scaled to the total's size.

    None where the total is zero or not finite.
    """
    xp = devices.of(total).xp
    size = norm_of(total)
    if not (size > 0 and math.isfinite(size)):
        return [None for _ in parts]
    whole = total.astype(xp.float64) / size
    square = float((whole * whole).sum())
    return [float((part.astype(xp.float64) / size * whole).sum()) / square for part in parts]


def _side_by_side(parts: list[Array], total: Array) -> tuple[list[Array], Array]:
    """Flatten arrays so that equal places lie at equal indices."""
    if len({array.strides for array in (*parts, total)}) == 1:
        return [flat(part) for part in parts], flat(total)
    axes = sorted(range(total.ndim), key=lambda axis: total.strides[axis], reverse=True)
    return [p.transpose(axes).reshape(-1) for p in parts], total.transpose(axes).reshape(-1)


def _equals_sum(rows: list[Array], whole: Array) -> bool:
    """Tell whether the rows, added one after the other, are bit for bit the whole."""
    xp = devices.of(whole).xp
    with devices.cpu.quiet():
        for start in range(0, whole.size, CHUNK):
            again, found = rows[0][start : start + CHUNK], whole[start : start + CHUNK]
            for row in rows[1:]:
                again = again + row[start : start + CHUNK]
            if again.tobytes() != found.tobytes():
                bits = f"u{found.itemsize}"
                same = again.view(bits) == found.view(bits)
                # A NaN may carry any bits.
                if not (same | (xp.isnan(again) & xp.isnan(found))).all():
                    return False
    return True


def _products(rows: list[Array], whole: Array, scale: float) -> tuple[list[float], float]:
    """Return <row, whole> for each row, and <whole, whole>; with a scale of both, in float64."""
    xp = devices.of(whole).xp
    wide = xp.float64 if scale != 1 else max(whole.dtype, xp.dtype(xp.float32))
    products, square = [0.0] * len(rows), 0.0
    with devices.cpu.quiet(), one_blas_thread():
        for start in range(0, whole.size, CHUNK):
            pieces = [row[start : start + CHUNK] for row in (whole, *rows)]
            pieces = [piece.astype(wide, copy=False) for piece in pieces]
            if scale != 1:
                pieces = [piece / scale for piece in pieces]
            found, *chunks = pieces
            square += float(xp.dot(found, found))
            for place, chunk in enumerate(chunks):
                products[place] += float(xp.dot(chunk, found))
    return products, square


def _exponents_suffice(squares: float, x: Array) -> bool:
    """Tell whether a sum of squares is right: none overflowed, and none that was lost matters."""
    limits = devices.of(x).xp.finfo(x.dtype)
    return math.isfinite(squares) and squares > x.size * float(limits.tiny) / float(limits.eps)
