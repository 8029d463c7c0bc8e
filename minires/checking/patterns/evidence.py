"""What is known of a wrong gradient, and when a guess at its cause may be believed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

# What a guess leaves unexplained must be smaller than the error it explains by this factor.
_CLEARLY = 20


class Guess(NamedTuple):
    """What the analytic gradient would be if some mistake had been made.

    Attributes
    ----------
    sentence : str
        What was seen, and what may be the cause.
    values : array, (K,)
        What the gradient would be at `Evidence.at`; NaN where that cannot be known.
    size : float
        Of the terms that `values` were summed from: rounding is relative to these.
    least : int
        So many wrong entries have to fit.
    """

    sentence: str
    values: Array
    size: float = 0.0
    least: int = 2


@dataclass(frozen=True, eq=False)
class Evidence:
    """A gradient that is wrong, and everything that differences tell about the right one.

    The right one is ``numeric.flat[entries] = slopes @ c``, with c the cotangents raveled one
    after another.

    Attributes
    ----------
    analytic : array, float64, shape S
        The gradient under test.
    numeric : array, float64, shape S
        The gradient by differences; NaN where it was not compared.
    wrong : array, bool, shape S
        Compared, and beyond the tolerance.
    x : array, shape S
        The input.
    cotangents : sequence of arrays
        The incoming gradient of every output.
    entries : array, int, (K,)
        Flat indices of some entries, right and wrong.
    slopes : array, (K, M)
        By how much the M numbers of all outputs move with each of these entries.
    rtol : float
        How precise `numeric` and `slopes` are.
    owners : sequence of (str, tuple of int)
        Arrays whose sizes may be factors: what they are called, their shapes. The input and the
        outputs if there are none.
    """

    analytic: Array
    numeric: Array
    wrong: Array
    x: Array
    cotangents: Sequence[Array]
    entries: Array
    slopes: Array
    rtol: float = 1e-6
    owners: Sequence[tuple[str, tuple[int, ...]]] = ()

    @cached_property
    def at(self) -> Array:
        """Flat indices of the entries where both gradients are known, ascending."""
        return np.flatnonzero(np.isfinite(self.analytic) & np.isfinite(self.numeric))

    @cached_property
    def indices(self) -> tuple[Array, ...]:
        """The same, one array per axis."""
        return np.unravel_index(self.at, self.numeric.shape)

    @cached_property
    def a(self) -> Array:
        """The analytic gradient there."""
        return self.analytic.ravel()[self.at]

    @cached_property
    def n(self) -> Array:
        """The numeric gradient there."""
        return self.numeric.ravel()[self.at]

    @cached_property
    def w(self) -> Array:
        """Which of these entries are wrong."""
        return self.wrong.ravel()[self.at]

    @cached_property
    def steepness(self) -> Array:
        """Magnitudes of the slopes."""
        return np.abs(self.slopes)

    @property
    def difference(self) -> Array:
        """Analytic minus numeric, there."""
        return self.a - self.n

    @cached_property
    def tolerance(self) -> float:
        """The largest error that may be numeric's own."""
        return self.rtol * float(np.abs(self.n).max(initial=0.0))

    def leaves(self, rest: Array, explained: Array, size: float = 0.0) -> bool:
        """Whether `rest` is nothing but rounding, beside an error that was `explained`.

        Parameters
        ----------
        rest : array
            What a guess leaves over.
        explained : array
            By how much the guess differs from the numeric gradient, at wrong entries.
        size : float
            As of a `Guess`.
        """
        if not rest.size or not explained.size:
            return False
        left = float(np.abs(rest).max())
        rounding = max(self.tolerance, self.rtol * size)
        # An error may be so small that it drowns, but not many may.
        clear = float((np.abs(explained) > _CLEARLY * left).mean())
        return left <= rounding and clear >= 0.9

    def supports(self, guess: Guess) -> bool:
        """Whether the analytic gradient is what was guessed, and not by chance."""
        known = np.isfinite(guess.values)
        values, wrong = guess.values[known], self.w[known]
        explained = (values - self.n[known])[wrong]
        size = max(guess.size, float(np.abs(values).max(initial=0.0)))
        rest = values - self.a[known]
        return len(explained) >= guess.least and self.leaves(rest, explained, size)

    def supported(self, guesses: Iterable[Guess]) -> Iterator[str]:
        """Yield the sentences that fit; of guesses that agree in their values, the first."""
        believed: list[Array] = []
        for guess in guesses:
            if not self.supports(guess):
                continue
            apart = (np.abs(guess.values - values) for values in believed)
            near = 10 * max(self.tolerance, self.rtol * guess.size)
            if all(np.nanmax(gap, initial=0.0) > near for gap in apart):
                believed.append(guess.values)
                yield guess.sentence

    def everywhere(self, array: Array) -> Array:
        """Return an array of shape S as a vector over `at`."""
        return array.ravel()[self.at]


def axis_sets(shape: Sequence[int], least: int = 1) -> list[tuple[int, ...]]:
    """Return all sets of axes longer than 1, of at least so many axes, the largest first."""
    long = [axis for axis, size in enumerate(shape) if size > 1]
    counts = range(len(long), least - 1, -1)
    return [axes for count in counts for axes in combinations(long, count)]


def named(axes: Sequence[int]) -> str:
    """Return "axis 0", or "axes 0 and 2"."""
    if len(axes) == 1:
        return f"axis {axes[0]}"
    return f"axes {', '.join(map(str, axes[:-1]))} and {axes[-1]}"


def distinct(values: Array, apart: float) -> int:
    """Count the magnitudes in `values` that lie further apart than `apart`."""
    magnitudes = np.sort(np.abs(values))
    return int((np.diff(magnitudes, prepend=-np.inf) > apart).sum())
