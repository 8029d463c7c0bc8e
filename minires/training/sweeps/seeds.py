"""Seeds: the same options trained several times, told as a mean and how far it scatters."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import mean, stdev
from typing import Any, NamedTuple

from .outcome import Outcome

SEED = "seed"


class Combination(NamedTuple):
    """All runs that differ in nothing but the seed.

    Attributes
    ----------
    varied : dict
        What distinguishes them from other combinations.
    errors : list of float
        The lowest validation error of each run that has a result.
    failures : int
        How many have none.
    """

    varied: dict[str, Any]
    errors: list[float]
    failures: int

    @property
    def mean(self) -> float | None:
        """Of the errors; None without any."""
        return mean(self.errors) if self.errors else None

    @property
    def scatter(self) -> float | None:
        """Their standard deviation, by n - 1; None of fewer than two."""
        return stdev(self.errors) if len(self.errors) > 1 else None


def over_seeds(outcomes: Iterable[Outcome]) -> list[Combination]:
    """Put runs together that differ only in the seed; [] if the seed does not vary.

    The lowest mean comes first. Combinations of which a run failed come last: their means are of
    fewer, and perhaps easier, runs.
    """
    found: dict[str, Combination] = {}
    for outcome in outcomes:
        if SEED not in outcome.varied:
            return []
        varied = {name: value for name, value in outcome.varied.items() if name != SEED}
        before = found.get(str(varied), Combination(varied, [], 0))
        best = outcome.best
        if best is None or best.validation_error is None:
            found[str(varied)] = before._replace(failures=before.failures + 1)
        else:
            found[str(varied)] = before._replace(errors=[*before.errors, best.validation_error])

    def rank(combination: Combination) -> tuple[int, float]:
        average = combination.mean
        return combination.failures, 2.0 if average is None else average

    return sorted(found.values(), key=rank)
