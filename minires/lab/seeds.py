"""Numbers of several seeds: between what they lie, and how two conditions differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

_SEEDS = 3  # fewer cannot tell an effect from chance
_CONFIDENCE = 0.95


def between(values: Any) -> list[tuple[float, float]] | str:
    """Return between what a number of each seed lies, and its mean does; or why nothing follows.

    Parameters
    ----------
    values : float, or list of float
        One for each seed; a single number is exact.

    Examples
    --------
    >>> between(2.0)
    [(2.0, 2.0)]
    >>> between([1.0, 2.0])
    'fewer than 3 seeds tell nothing'
    """
    several = values if isinstance(values, (list, tuple)) else [values]
    if any(value is None or not math.isfinite(value) for value in several):
        return "what is not a number tells nothing"
    if several is not values:
        return [(values, values)]
    if len(several) < _SEEDS:
        return f"fewer than {_SEEDS} seeds tell nothing"
    return [(min(values), max(values)), interval(values)]


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % confidence interval of a mean (Student's t).

    Parameters
    ----------
    values : sequence of float
        Two at least.

    Examples
    --------
    >>> low, high = interval([1.0, 2.0, 3.0])
    >>> round(low, 2), round(high, 2)
    (-0.48, 4.48)
    """
    from scipy.special import stdtrit

    count = len(values)
    largest = max(map(abs, values)) or 1.0  # whose square may be too large for a number
    parts = [value / largest for value in values]
    mean = math.fsum(parts) / count
    variance = math.fsum((part - mean) ** 2 for part in parts) / (count - 1)
    reach = float(stdtrit(count - 1, (1 + _CONFIDENCE) / 2)) * math.sqrt(variance / count)
    return largest * (mean - reach), largest * (mean + reach)


def paired(ones: Sequence[float | None], others: Sequence[float | None]) -> list[float | None]:
    """Return the differences of two conditions, seed by seed; None where one of them is.

    Examples
    --------
    >>> paired([3.0, 5.0], [1.0, 1.0])
    [2.0, 4.0]
    """
    return [
        None if one is None or other is None else one - other
        for one, other in zip(ones, others, strict=True)
    ]
