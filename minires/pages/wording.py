"""Numbers in words, alike in the terminal, in pictures and in the report."""

from __future__ import annotations


def percent(error: float | None) -> str:
    """Write an error, a share from 0 to 1, as a percentage; None is that of a diverged network.

    Examples
    --------
    >>> percent(0.0525), percent(None)
    ('5.2%', 'diverged')
    """
    return "diverged" if error is None else f"{100 * error:.1f}%"


def short(value: float, digits: int = 3) -> str:
    """Write a positive number of any size with so many significant digits.

    Examples
    --------
    >>> short(241.3), short(0.0123456), short(3256.0)
    ('241', '0.0123', '3,260')
    """
    rounded = float(f"{value:.{digits}g}")
    if 10**digits <= rounded < 1e6:
        return f"{rounded:,.0f}"
    return f"{rounded:.{digits}g}"
