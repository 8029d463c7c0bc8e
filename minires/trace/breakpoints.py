"""Breakpoints: where a stepper stops, said in a few characters.

``norm<1e-3`` and ``norm>10``: a value's gradient came out with such a norm. ``share(shortcut)>0.9``
and ``share(branch)<0``: at a fork, one side of a residual addition brought such a share of the
gradient. ``nan``: a number that is not finite was computed. ``fork``: contributions were summed.
``at:layer2.0``: a module is entered, by the forward or the backward pass; or a value of that name
is made, or gets its gradient.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .records import Backward, Forward, Records, Stats

if TYPE_CHECKING:
    from .structure import Side
    from .trace import Trace

Kind = Literal["norm", "share", "nan", "fork", "at"]

FORMS = (
    "'norm<1e-3', 'norm>10', 'share(shortcut)>0.9', 'share(branch)>0.9', 'nan', 'fork',"
    " 'at:layer2.0'"
)

_COMPARED = re.compile(r"(norm|share\((\w+)\))\s*([<>])\s*(\S+)")


@dataclass(frozen=True)
class Breakpoint:
    """A condition on the steps of a trace; made by `parse`.

    Attributes
    ----------
    text : str
        What it was parsed from.
    kind : {"norm", "share", "nan", "fork", "at"}
    side : {"shortcut", "branch"} or None
        Whose share.
    sign : {"<", ">"} or None
    limit : float
        What norm or share is compared with.
    place : str
        A module's path or a value's name.
    """

    text: str
    kind: Kind
    side: Side | None = None
    sign: str = ""
    limit: float = math.nan
    place: str = ""

    @staticmethod
    def parse(text: str) -> Breakpoint:
        """Read a breakpoint.

        Parameters
        ----------
        text : str
            Such as ``"norm<1e-3"``; see the head of this module for all forms.

        Returns
        -------
        Breakpoint

        Raises
        ------
        ValueError
            If it is none of the forms.

        Examples
        --------
        >>> from minires.trace.breakpoints import Breakpoint
        >>> Breakpoint.parse("share(shortcut) > 0.9").limit
        0.9
        """
        plain = text.strip()
        if plain in ("nan", "fork"):
            return Breakpoint(plain, "nan" if plain == "nan" else "fork")
        if plain.startswith("at:"):
            place = plain[3:].strip()
            if not place:
                raise ValueError(
                    "breakpoint 'at:' names no place; add a module's path, as in 'at:layer2.0'"
                )
            return Breakpoint(plain, "at", place=place)
        compared = _COMPARED.fullmatch(plain)
        if compared is None:
            near = difflib.get_close_matches(plain, ("nan", "fork"), 1)
            raise ValueError(
                f"unknown breakpoint {text!r}; "
                + (f"did you mean {near[0]!r}? " if near else "")
                + f"There are {FORMS}"
            )
        what, side, sign, number = compared.groups()
        try:
            limit = float(number)
        except ValueError:
            limit = math.nan
        if math.isnan(limit):
            raise ValueError(
                f"breakpoint {text!r} compares with {number!r}, which is no number; write it as"
                " in 'norm<1e-3'"
            )
        if what == "norm":
            return Breakpoint(plain, "norm", sign=sign, limit=limit)
        if side not in ("shortcut", "branch"):
            raise ValueError(
                f"breakpoint {text!r} asks for the share of {side!r}; a residual addition has the"
                " sides 'shortcut' and 'branch'"
            )
        return Breakpoint(
            plain, "share", "shortcut" if side == "shortcut" else "branch", sign, limit
        )

    def __str__(self) -> str:
        return self.text

    def require(self, trace: Trace) -> None:
        """Make sure that the place is one of the trace.

        Raises
        ------
        ValueError
            If there is neither a module nor a value of that name.
        """
        if self.kind != "at":
            return
        records = trace.records
        known = {value.name for value in records.values} | _modules(records)
        if self.place not in known:
            near = difflib.get_close_matches(self.place, sorted(known), 3)
            raise ValueError(
                f"breakpoint {self.text!r}: the trace has no module and no value of that name"
                + (f"; near it are {', '.join(map(repr, near))}" if near else "")
            )

    def hits(self, trace: Trace, step_number: int) -> bool:
        """Tell whether a step meets the condition.

        Parameters
        ----------
        trace : Trace
        step_number : int
            An index into ``trace.records.steps``.

        Raises
        ------
        IndexError
            If there is no such step.
        """
        steps = trace.records.steps
        if not 0 <= step_number < len(steps):
            raise IndexError(
                f"there is no step {step_number}: the trace has {len(steps)}, numbered from 0"
            )
        step = _step(trace.records, step_number)
        if self.kind == "nan":
            return not finite(trace.records, step)
        if self.kind == "at":
            return self._enters(trace.records, step_number)
        if isinstance(step, Forward):
            return False
        if self.kind == "fork":
            return len(step.parts) > 1
        if self.kind == "norm":
            # What is not finite is compared with nothing: that is the breakpoint "nan".
            return step.stats is not None and step.stats.finite and self._compares(step.stats.norm)
        return any(map(self._compares, self._shares(trace, step)))

    def _compares(self, number: float) -> bool:
        return number < self.limit if self.sign == "<" else number > self.limit

    def _shares(self, trace: Trace, step: Backward) -> list[float]:
        """Return what the side brought, for each residual addition that parts here."""
        sums: dict[int, float] = {}
        for part in step.parts:
            if part.consumer is None or part.share is None or len(step.parts) < 2:
                continue
            for role in trace.structure.roles.get((part.consumer, part.slot), ()):
                if role.side == self.side:
                    sums[role.join] = sums.get(role.join, 0.0) + part.share
        return list(sums.values())

    def _enters(self, records: Records, number: int) -> bool:
        step = _step(records, number)
        value = records.values[step.output if isinstance(step, Forward) else step.value]
        if value.name == self.place:
            return True
        if not self._within(_module_of(records, step)):
            return False
        if number == 0:
            return True
        before = _step(records, number - 1)
        return type(before) is not type(step) or not self._within(_module_of(records, before))

    def _within(self, module: str) -> bool:
        return module == self.place or module.startswith(f"{self.place}.")


def next_hit(
    trace: Trace, breakpoints: Sequence[Breakpoint], start: int, direction: int = 1
) -> int | None:
    """Find the next step at which one of the breakpoints stops.

    Parameters
    ----------
    trace : Trace
    breakpoints : sequence of Breakpoint
    start : int
        The step to start from; it is not looked at itself. -1 is before the first step.
    direction : {1, -1}
        Forwards in time, or backwards.

    Returns
    -------
    int or None
        An index into ``trace.records.steps``; None if there is no such step.

    Raises
    ------
    ValueError
        If the direction is neither.
    """
    if direction not in (1, -1):
        raise ValueError(f"next_hit: direction must be 1 or -1, found {direction!r}")
    count = len(trace.records.steps)
    ahead = (
        range(max(start + 1, 0), count) if direction == 1 else range(min(start, count) - 1, -1, -1)
    )
    for number in ahead:
        if any(breakpoint.hits(trace, number) for breakpoint in breakpoints):
            return number
    return None


def _step(records: Records, number: int) -> Forward | Backward:
    kind, index = records.steps[number]
    return records.forward[index] if kind == "forward" else records.backward[index]


def _module_of(records: Records, step: Forward | Backward) -> str:
    """Return where a step runs; a leaf's turn is no part of any module."""
    if isinstance(step, Forward):
        return step.module
    made = records.values[step.value].op
    return "" if made is None else records.forward[made].module


def _modules(records: Records) -> set[str]:
    """Return all paths, also those of modules in which only inner ones ran something."""
    found = set(records.modules)
    for step in records.forward:
        parts = step.module.split(".")
        found.update(".".join(parts[:end]) for end in range(1, len(parts) + 1))
    return found - {""}


def finite(records: Records, step: Forward | Backward) -> bool:
    """Tell whether all that a step computed is finite; what was not measured is taken for it."""
    seen: list[Stats | None]
    if isinstance(step, Forward):
        seen = [records.values[step.output].stats]
    else:
        seen = [step.stats, *(part.stats for part in step.parts), *(s.stats for s in step.sent)]
    return all(stats is None or stats.finite for stats in seen)
