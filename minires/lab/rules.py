"""Rules, written before anything is measured, that turn what was measured into an outcome."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from minires.pages import short

Outcome = Literal["supports", "contradicts", "inconclusive"]
# By the name of a quantity: a list has one number for each seed, all else is exact.
Measured = Mapping[str, Any]

_SEEDS = 3  # fewer cannot tell an effect from chance
_CONFIDENCE = 0.95


class Judgement(NamedTuple):
    """What follows from a rule.

    Attributes
    ----------
    outcome : {"supports", "contradicts", "inconclusive"}
    because : str
        The numbers that decided it.
    """

    outcome: Outcome
    because: str


class Rule(ABC):
    """What must be measured for a claim to hold, and what would speak against it."""

    @property
    @abstractmethod
    def text(self) -> str:
        """The rule in words."""

    @property
    @abstractmethod
    def quantities(self) -> tuple[str, ...]:
        """Names of what it looks at."""

    @abstractmethod
    def judge(self, measured: Measured) -> Judgement:
        """Apply the rule to what was measured.

        Raises
        ------
        KeyError
            If a quantity was not measured.
        """


@dataclass(frozen=True)
class _Limit(Rule):
    """A number, or one for each seed, on one side of a limit.

    A number per seed must lie there in every seed, of three at least, or the 95 % confidence
    interval of its mean must (Student's t). The other side of `otherwise` speaks against the claim
    in the same way; between the two, or here and there, nothing follows.

    Parameters
    ----------
    quantity : str
    limit : float
    otherwise : float, optional
        By default the limit.
    """

    quantity: str
    limit: float = 0.0
    otherwise: float | None = None

    _side = 1

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of what it looks at."""
        return (self.quantity,)

    @property
    def text(self) -> str:
        """The rule in words."""
        here, there = ("above", "below")[:: self._side]
        against = self.limit if self.otherwise is None else self.otherwise
        return (
            f"{self.quantity}: {here} {short(self.limit)} supports, {there} {short(against)}"
            " contradicts"
        )

    def judge(self, measured: Measured) -> Judgement:
        """Apply the rule."""
        values = measured[self.quantity]
        against = self.limit if self.otherwise is None else self.otherwise
        ends = _extremes(values)
        because = f"{self.quantity}: {_told(values)}"
        if isinstance(ends, str):
            return Judgement("inconclusive", f"{because}; {ends}")
        if any(self._is_past(low, high, self.limit, self._side) for low, high in ends):
            return Judgement("supports", because)
        if any(self._is_past(low, high, against, -self._side) for low, high in ends):
            return Judgement("contradicts", because)
        return Judgement("inconclusive", because)

    @staticmethod
    def _is_past(low: float, high: float, limit: float, side: int) -> bool:
        return low > limit if side > 0 else high < limit


class Above(_Limit):
    """A quantity is above a limit.

    Examples
    --------
    >>> Above("difference").judge({"difference": [0.1, 0.2, 0.15]}).outcome
    'supports'
    >>> Above("difference").judge({"difference": [0.1, -0.2, 0.0]}).outcome
    'inconclusive'
    """


class Below(_Limit):
    """A quantity is below a limit.

    Examples
    --------
    >>> Below("ratio", 0.01).judge({"ratio": 5.6e-17}).outcome
    'supports'
    """

    _side = -1


@dataclass(frozen=True)
class Within(Rule):
    """A quantity lies between two limits, of every seed; outside in every seed contradicts.

    Parameters
    ----------
    quantity : str
    low, high : float

    Examples
    --------
    >>> Within("skewness", 1.9, 2.1).judge({"skewness": [2.0, 2.01, 1.99]}).outcome
    'supports'
    """

    quantity: str
    low: float
    high: float

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of what it looks at."""
        return (self.quantity,)

    @property
    def text(self) -> str:
        """The rule in words."""
        return (
            f"{self.quantity}: from {short(self.low)} to {short(self.high)} supports, outside"
            " contradicts"
        )

    def judge(self, measured: Measured) -> Judgement:
        """Apply the rule."""
        values = measured[self.quantity]
        because = f"{self.quantity}: {_told(values)}"
        ends = _extremes(values)
        if isinstance(ends, str):
            return Judgement("inconclusive", f"{because}; {ends}")
        several = values if isinstance(values, (list, tuple)) else [values]
        inside = {self.low <= value <= self.high for value in several}
        if len(inside) > 1:
            return Judgement("inconclusive", because)
        return Judgement("supports" if True in inside else "contradicts", because)


@dataclass(frozen=True)
class Equal(Rule):
    """Something exact, such as a count or a list of shapes, is what it should be.

    Parameters
    ----------
    quantity : str
    value : JSON value

    Examples
    --------
    >>> Equal("weights", 69632).judge({"weights": 69632}).outcome
    'supports'
    """

    quantity: str
    value: Any = True

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of what it looks at."""
        return (self.quantity,)

    @property
    def text(self) -> str:
        """The rule in words."""
        return f"{self.quantity}: {_exact(self.value)} supports, all else contradicts"

    def judge(self, measured: Measured) -> Judgement:
        """Apply the rule."""
        value = measured[self.quantity]
        return Judgement(
            "supports" if value == self.value else "contradicts",
            f"{self.quantity}: {_exact(value)}",
        )


class Every(Rule):
    """Several rules at once: one that contradicts is enough, and all must support.

    Examples
    --------
    >>> rule = Every(Equal("convolutions", 13), Equal("pools", 5))
    >>> rule.judge({"convolutions": 13, "pools": 5}).outcome
    'supports'
    """

    def __init__(self, *rules: Rule) -> None:
        self.rules = rules

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of what it looks at."""
        return tuple(dict.fromkeys(name for rule in self.rules for name in rule.quantities))

    @property
    def text(self) -> str:
        """The rule in words."""
        return "; ".join(rule.text for rule in self.rules)

    def judge(self, measured: Measured) -> Judgement:
        """Apply the rule."""
        judged = [rule.judge(measured) for rule in self.rules]
        return Judgement(
            joint(each.outcome for each in judged), "; ".join(each.because for each in judged)
        )


def joint(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the outcome of several together: the weakest of them.

    Examples
    --------
    >>> joint(["supports", "inconclusive"])
    'inconclusive'
    """
    found = set(outcomes)
    if "contradicts" in found:
        return "contradicts"
    return "supports" if found == {"supports"} else "inconclusive"


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
    mean = math.fsum(values) / count
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    reach = float(stdtrit(count - 1, (1 + _CONFIDENCE) / 2)) * math.sqrt(variance / count)
    return mean - reach, mean + reach


def _extremes(values: Any) -> list[tuple[float, float]] | str:
    """Return between what all seeds lie, and the mean does; or why nothing follows."""
    several = values if isinstance(values, (list, tuple)) else [values]
    if any(value is None or not math.isfinite(value) for value in several):
        return "what is not a number tells nothing"
    if several is not values:
        return [(values, values)]
    if len(several) < _SEEDS:
        return f"fewer than {_SEEDS} seeds tell nothing"
    return [(min(values), max(values)), interval(values)]


def _told(values: Any) -> str:
    several = values if isinstance(values, (list, tuple)) else [values]
    return ", ".join("–" if value is None else short(value) for value in several)


def _exact(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_exact, value))}]"
    return f"{value:,}" if isinstance(value, int) else str(value)


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
