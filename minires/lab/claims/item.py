"""An item of the audit: what is said, what is true, and the check that shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from minires.lab.rules import Measured, Rule

Verdict = Literal["true", "misleading", "false", "typo"]


class Lab(Protocol):
    """Where checks find what experiments have measured."""

    def measured(self, experiment: str) -> Measured:
        """Return what an experiment of this name has measured; run it first if need be."""
        ...


Check = Callable[[Lab], Measured]


@dataclass(frozen=True)
class Item:
    """A statement that introductory articles make, audited.

    Attributes
    ----------
    code : str
        A letter for the article and a number, such as ``"A17"``.
    statement : str
        The gist of what is said.
    verdict : {"true", "misleading", "false", "typo"}
        The audit's.
    correct : str
        The correct statement.
    source : str
        Where the verdict rests on.
    rule : Rule or None
        What must be measured for the *correct* statement to hold; None where its truth is a
        citation, of a date, say, or of hardware.
    check : callable or None
        Measures it.
    """

    code: str
    statement: str
    verdict: Verdict
    correct: str
    source: str
    rule: Rule | None = None
    check: Check | None = None


class Items(dict[str, Item]):
    """The items of one article, by their codes.

    Examples
    --------
    >>> from minires.lab.rules import Equal
    >>> items = Items()
    >>> @items.experiment(
    ...     "X1", "two and two is five", "false", "It is four.", "arithmetic", Equal("sum", 4)
    ... )
    ... def x1(lab):
    ...     return {"sum": 2 + 2}
    >>> items["X1"].rule.judge(items["X1"].check(None)).outcome
    'supports'
    """

    def experiment(
        self, code: str, statement: str, verdict: Verdict, correct: str, source: str, rule: Rule
    ) -> Callable[[Check], Check]:
        """Add an item whose correct statement the decorated function checks."""

        def add(check: Check) -> Check:
            self[code] = Item(code, statement, verdict, correct, source, rule, check)
            return check

        return add

    def citation(
        self, code: str, statement: str, verdict: Verdict, correct: str, source: str
    ) -> None:
        """Add an item that no experiment can check."""
        self[code] = Item(code, statement, verdict, correct, source)
