"""Why a gradient is small, large, NaN or missing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .causes import Cause, Stage, causes_of
from .causes.missing import unused
from .records import Stats, Value

if TYPE_CHECKING:
    from .trace import Trace

# How many values of a long way are printed at each end, and of those between that change most.
_ENDS, _BETWEEN = 3, 6


@dataclass(frozen=True)
class Explanation:
    """What a trace says about one gradient.

    Attributes
    ----------
    at : str
        Name of the value; for a module, whose input is meant, with its path before.
    value : int or None
        Its index; None for a parameter that no op used.
    gradient : Stats or None
        None if there is none.
    causes : tuple of Cause
        The most telling first: alarms, then the factors that the gradient's size is made of.
    chain : tuple of Stage
        The way of the gradient from the loss to here, by the largest contribution at every fork.
    note : str
        How the gradient compares with others of its kind.
    """

    at: str
    value: int | None
    gradient: Stats | None
    causes: tuple[Cause, ...]
    chain: tuple[Stage, ...]
    note: str = ""

    @property
    def alarms(self) -> tuple[Cause, ...]:
        """The causes that are out of the ordinary; empty for a healthy gradient."""
        return tuple([cause for cause in self.causes if cause.alarm])

    def __str__(self) -> str:
        lines = [self._headline()]
        if self.alarms:
            lines += ["", "why:"]
            lines += [f"  {n}. {_told(cause)}" for n, cause in enumerate(self.alarms, 1)]
        elif self.gradient is not None:
            lines += ["", "nothing is out of the ordinary"]
        factors = [cause for cause in self.causes if not cause.alarm]
        if factors:
            lines += ["", "what its size is made of:" if len(self.chain) > 1 else "note:"]
            lines += [f"  {cause.sentence}" for cause in factors]
        if self.chain:
            lines += ["", "the way of the gradient, from the loss:"]
            lines += _way(self.chain)
        return "\n".join(lines)

    def _headline(self) -> str:
        if self.gradient is None:
            return f"{self.at}: no gradient"
        stats = self.gradient
        if not stats.finite:
            return f"{self.at}: the gradient holds {stats.nans} NaN and {stats.infs} infinities"
        head = f"{self.at}: gradient of norm {stats.norm:.4g}, rms {stats.rms:.3g}"
        return f"{head} ({self.note})" if self.note else head


def explain(trace: Trace, at: Any) -> Explanation:
    """Explain a gradient; see `Trace.explain`."""
    records = trace.records
    if isinstance(at, str) and at in records.parameters:
        known = [value for value in records.values if value.name == at]
        if not known and records.forward:
            return Explanation(at, None, None, (unused(at),), ())
    value = trace.value(at)
    ways, causes = causes_of(records, value)
    # What a hook on the value itself made of it is what the user finds in .grad.
    gradient = None if ways.visit is None else ways.gradient(ways.visit)
    name = value.name if not isinstance(at, str) or at == value.name else f"{at} <- {value.name}"
    return Explanation(
        name, value.index, gradient, tuple(causes), tuple(ways.chain), _note(trace, value)
    )


def _note(trace: Trace, value: Value) -> str:
    """Say how the gradient's RMS compares with those of other values of the kind."""
    if value.gradient is None or not value.gradient.finite:
        return ""
    alike = [
        other.gradient.rms
        for other in trace.records.values
        if other.kind == value.kind and other.gradient is not None and other.gradient.finite
    ]
    if len(alike) < 3:
        return ""
    smaller = sum(rms < value.gradient.rms for rms in alike)
    kind = {"parameter": "parameters", "result": "results"}.get(value.kind, f"{value.kind}s")
    return f"{smaller} of the other {len(alike) - 1} {kind} have a smaller rms"


def _told(cause: Cause) -> str:
    return f"{cause.kind} in {cause.place}: {cause.sentence}"


def _way(chain: tuple[Stage, ...]) -> list[str]:
    """Lay out the way, without the dull part of a long one."""
    last = len(chain) - 1
    shown = set(range(_ENDS + 1)) | set(range(last - _ENDS, last + 1))
    changes = sorted(range(len(chain)), key=lambda n: -_change(chain[n]))
    shown |= set(changes[:_BETWEEN])
    if len(chain) <= len(shown) + 2:
        shown = set(range(len(chain)))
    width = max(len(chain[n].name) for n in shown if n <= last)
    lines, left_out = [], 0
    for number, stage in enumerate(chain):
        if number not in shown:
            left_out += 1
            continue
        if left_out:
            lines.append(f"  {'...':<{width}}  ({left_out} more)")
            left_out = 0
        factor = "" if math.isnan(stage.factor) else f"x {stage.factor:<8.3g}"
        line = f"  {stage.name:<{width}}  {stage.norm:<10.4g} {factor:<10} {stage.through}"
        lines.append(line.rstrip())
    return lines


def _change(stage: Stage) -> float:
    if stage.factor == 0:
        return math.inf
    return abs(math.log(stage.factor)) if stage.factor > 0 else 0.0
