"""What kind of mistake a wrong gradient looks like, in sentences for the one who made it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np

from .evidence import Evidence, Guess
from .incoming import incoming, ones_give_zero, transposed_derivative
from .missing_terms import missing_terms
from .ratios import scaled, scaled_besides, scaled_by_the_input, scaled_per_axis
from .rearrangements import rearranged, same_values
from .regions import regions

Array = np.ndarray[Any, Any]

_MOST = 3


def patterns(evidence: Evidence) -> list[str]:
    """Say what a wrong gradient looks like: what was seen, then what may be the cause.

    A pattern is named only when it explains every known entry, down to the precision of the
    differences, and when enough entries are known that it cannot be chance.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    list of str
        At most a few sentences, the most telling first; empty if no known pattern fits.

    Examples
    --------
    The gradient of x² with the factor 2 forgotten:

    >>> import numpy as np
    >>> x, g = np.array([1.0, 2.0, -3.0]), np.array([0.5, -1.5, 2.5])
    >>> slopes = np.diag(2 * x)
    >>> wrong = Evidence(
    ...     x * g, slopes @ g, np.full(3, True), x, [g], entries=np.arange(3), slopes=slopes
    ... )
    >>> patterns(wrong)
    ['analytic = 1/2 × numeric everywhere. Is a factor 2 missing?']
    """
    bad = _not_finite(evidence)
    if not evidence.w.any():
        return bad
    if zero := _zero(evidence):
        return [*bad, zero]
    told = list(evidence.supported(chain(scaled(evidence), _single(evidence))))
    # A free factor makes any guess easier to fit: it is tried where nothing simpler does.
    told = told or list(evidence.supported(scaled_besides(evidence, _single(evidence))))[:1]
    return [*bad, *(told or _partial(evidence))][:_MOST]


def _single(evidence: Evidence) -> Iterator[Guess]:
    """Guess at one mistake other than a factor."""
    return chain(
        rearranged(evidence),
        incoming(evidence),
        transposed_derivative(evidence),
        scaled_by_the_input(evidence),
    )


def _partial(evidence: Evidence) -> Iterator[str]:
    """Yield patterns that hold for a part only, or that leave something open."""
    if some := _float32(evidence):
        yield some
    if values := same_values(evidence):
        yield values
        return
    yield from regions(evidence)
    per_axis = list(evidence.supported(scaled_per_axis(evidence)))
    yield from per_axis or missing_terms(evidence)


def _not_finite(evidence: Evidence) -> list[str]:
    bad = np.argwhere(~np.isfinite(evidence.analytic))
    if not len(bad):
        return []
    index = tuple(map(int, bad[0]))
    value = evidence.analytic[index]
    if len(bad) == evidence.analytic.size:
        return ["The analytic gradient is finite nowhere. Is something divided by 0?"]
    count = "One entry" if len(bad) == 1 else f"{len(bad)} entries"
    verb = "is" if len(bad) == 1 else "are"
    return [
        f"{count} of the analytic gradient {verb} not finite: {value} at {index}. Is there a 0 / 0,"
        " a root or logarithm of 0, or an overflow?"
    ]


def _zero(evidence: Evidence) -> str:
    largest = float(np.abs(evidence.n).max())
    beside = float(np.abs(evidence.a).max())
    if beside <= 1e-12 * largest:
        if ones_give_zero(evidence):
            return (
                "The analytic gradient is 0 everywhere, as it would be for an incoming gradient of"
                " all ones. Is the incoming gradient ignored, or this input?"
            )
        return (
            "The analytic gradient is 0 everywhere. Is this input's gradient forgotten, or cut off?"
        )
    if largest <= min(1e-8, evidence.rtol * beside):
        return (
            "The numeric gradient is 0 everywhere. Does the function not depend on this input, or"
            " not through the place that the gradient comes from?"
        )
    return ""


def _float32(evidence: Evidence) -> str:
    """Values that a float32 can hold, but no shorter number: the digits were cut off."""
    a = evidence.a[evidence.a != 0]
    with np.errstate(over="ignore", under="ignore"):
        long = a != a.astype(np.float16)
        short = (a == a.astype(np.float32)).all()
    close = float(np.abs(evidence.difference).max()) < 1e-4 * float(np.abs(evidence.n).max())
    if close and short and long.sum() >= 3:
        return "Every analytic value is a float32 number. Is something computed in float32?"
    return ""
