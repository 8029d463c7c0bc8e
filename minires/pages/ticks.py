"""Round numbers along an axis."""

from __future__ import annotations

import math

_ABOUT = 5  # ticks on a linear axis


def ticks(low: float, high: float, log: bool = False) -> list[float]:
    """Return round numbers from `low` to `high`: a handful, evenly spread.

    Parameters
    ----------
    low, high : float
        With ``low < high``.
    log : bool
        Whether the axis is logarithmic; `low` must be positive then.

    Examples
    --------
    >>> ticks(0, 164), ticks(0.02, 3, log=True)
    ([0.0, 50.0, 100.0, 150.0], [0.03, 0.1, 0.3, 1.0, 3.0])
    >>> ticks(0.3, 2.5, log=True)
    [0.5, 1.0, 2.0]
    """
    if log and high / low > 3:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for digits, least in (((1,), 3), ((1, 3), 3), ((1, 2, 5), 1)):
            found = [float(f"{digit}e{power}") for power in decades for digit in digits]
            found = [value for value in found if low <= value <= high]
            if len(found) >= least:
                return found[:: math.ceil(len(found) / (_ABOUT + 1))]
    rough = (high - low) / _ABOUT
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * digit for digit in (1, 2, 5, 10) if power * digit >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]
