"""Rules, written before anything is measured, that turn what was measured into an outcome."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from minires.pages import short

from .seeds import between

Outcome = Literal["supports", "contradicts", "inconclusive"]
# By the name of a quantity: a list has one number for each seed, all else is exact.
Measured = Mapping[str, Any]


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
    def condition(self) -> str:
        """What must be measured for it to support, in words."""

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

    Raises
    ------
    ValueError
        If a number could lie on both sides.
    """

    quantity: str
    limit: float = 0.0
    otherwise: float | None = None

    _side = 1

    def __post_init__(self) -> None:
        if self._side * (self._against - self.limit) > 0:
            raise ValueError(
                f"{self.quantity}: a number between {self.limit} and {self.otherwise} would support"
                " and contradict"
            )

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of what it looks at."""
        return (self.quantity,)

    @property
    def text(self) -> str:
        """The rule in words."""
        here, there = self._words
        return (
            f"{self.quantity}: {here} {_exact(self.limit)} supports,"
            f" {there} {_exact(self._against)} contradicts"
        )

    @property
    def condition(self) -> str:
        """What must be measured for it to support, in words."""
        return f"{self.quantity} {self._words[0]} {_exact(self.limit)}"

    def judge(self, measured: Measured) -> Judgement:
        """Apply the rule."""
        values = measured[self.quantity]
        ends = between(values)
        because = f"{self.quantity}: {_told(values)}"
        if isinstance(ends, str):
            return Judgement("inconclusive", f"{because}; {ends}")
        if any(self._is_past(low, high, self.limit, self._side) for low, high in ends):
            return Judgement("supports", because)
        if any(self._is_past(low, high, self._against, -self._side) for low, high in ends):
            return Judgement("contradicts", because)
        return Judgement("inconclusive", because)

    @property
    def _against(self) -> float:
        return self.limit if self.otherwise is None else self.otherwise

    @property
    def _words(self) -> tuple[str, str]:
        return ("above", "below") if self._side > 0 else ("below", "above")

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
    """A quantity lies between two limits in every seed; outside, on one side of them, contradicts.

    Parameters
    ----------
    quantity : str
    low, high : float

    Raises
    ------
    ValueError
        If nothing lies between them.

    Examples
    --------
    >>> Within("skewness", 1.9, 2.1).judge({"skewness": [2.0, 2.01, 1.99]}).outcome
    'supports'
    """

    quantity: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"{self.quantity}: nothing lies from {self.low} to {self.high}")

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of what it looks at."""
        return (self.quantity,)

    @property
    def text(self) -> str:
        """The rule in words."""
        return (
            f"{self.quantity}: from {_exact(self.low)} to {_exact(self.high)} supports, outside"
            " contradicts"
        )

    @property
    def condition(self) -> str:
        """What must be measured for it to support, in words."""
        return f"{self.quantity} from {_exact(self.low)} to {_exact(self.high)}"

    def judge(self, measured: Measured) -> Judgement:
        """Apply the rule."""
        values = measured[self.quantity]
        because = f"{self.quantity}: {_told(values)}"
        ends = between(values)
        if isinstance(ends, str):
            return Judgement("inconclusive", f"{because}; {ends}")
        least, greatest = ends[0]
        if self.low <= least and greatest <= self.high:
            return Judgement("supports", because)
        if greatest < self.low or least > self.high:
            return Judgement("contradicts", because)
        return Judgement("inconclusive", because)


@dataclass(frozen=True)
class Equal(Rule):
    """Something exact, such as a count or a list of shapes, is what it should be.

    What was not measured decides nothing.

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

    @property
    def condition(self) -> str:
        """What must be measured for it to support, in words."""
        return f"{self.quantity} {_exact(self.value)}"

    def judge(self, measured: Measured) -> Judgement:
        """Apply the rule."""
        value = measured[self.quantity]
        because = f"{self.quantity}: {_exact(value)}"
        if _has_gaps(value):
            return Judgement("inconclusive", f"{because}; what is not a number tells nothing")
        return Judgement("supports" if _same(value, self.value) else "contradicts", because)


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

    @property
    def condition(self) -> str:
        """What must be measured for it to support, in words."""
        return ", ".join(rule.condition for rule in self.rules)

    def judge(self, measured: Measured) -> Judgement:
        """Apply the rule."""
        judged = [rule.judge(measured) for rule in self.rules]
        return Judgement(
            joint(each.outcome for each in judged), "; ".join(each.because for each in judged)
        )


@dataclass(frozen=True)
class Given(Rule):
    """A rule that decides nothing where a condition does not hold, such as that networks learn.

    Parameters
    ----------
    needed : Rule
        Must support.
    rule : Rule
        Decides then.

    Examples
    --------
    >>> rule = Given(Below("error", 0.5), Below("difference", 0.02))
    >>> rule.text
    'only with error below 0.5: (difference: below 0.02 supports, above 0.02 contradicts)'
    >>> rule.judge({"error": 0.9, "difference": 0.0}).outcome
    'inconclusive'
    """

    needed: Rule
    rule: Rule

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of what it looks at."""
        return tuple(dict.fromkeys((*self.needed.quantities, *self.rule.quantities)))

    @property
    def text(self) -> str:
        """The rule in words."""
        return f"only with {self.needed.condition}: ({self.rule.text})"

    @property
    def condition(self) -> str:
        """What must be measured for it to support, in words."""
        return f"{self.needed.condition}, {self.rule.condition}"

    def judge(self, measured: Measured) -> Judgement:
        """Apply the rule."""
        needed, judged = self.needed.judge(measured), self.rule.judge(measured)
        because = f"{needed.because}; {judged.because}"
        return Judgement(
            judged.outcome if needed.outcome == "supports" else "inconclusive", because
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


def _told(values: Any) -> str:
    several = values if isinstance(values, (list, tuple)) else [values]
    return ", ".join("–" if value is None else short(value) for value in several)


def _exact(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_exact, value))}]"
    if isinstance(value, float):
        return f"{value:,.12g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _has_gaps(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_has_gaps, value))
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _same(one: Any, other: Any) -> bool:
    """Return whether two values are equal: tuples are lists, as in a file; yes is not 1."""
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
