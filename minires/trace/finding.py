"""What the check of one step found."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """The check of one step of a backward pass.

    Attributes
    ----------
    what : {"vjp", "sum", "again"}
        An op's VJP against differences; contributions against their sum; or the recorded gradient
        of a value against the one that the VJPs give when they are run again.
    place : str
        The op, as "module/op", or the value.
    step : int or None
        The forward step.
    status : {"right", "wrong", "undecided"}
        "undecided": it could not be compared, for the reason in `message`.
    edge : str
        The op's input whose gradient is wrong.
    found, expected : float
        What the gradient has at the worst place, and what it should have; NaN where it is no such
        matter.
    message : str
        What was found, in a sentence.
    """

    what: Literal["vjp", "sum", "again"]
    place: str
    step: int | None
    status: Literal["right", "wrong", "undecided"]
    edge: str = ""
    found: float = math.nan
    expected: float = math.nan
    message: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.message else f"{self.place}: {self.status}"
