"""Is a recorded step right? Every VJP and every sum of gradients, checked one by one.

A VJP is compared with differences of its op's forward, in float64, where the step was recorded. A
sum was compared with its contributions as they met. And the backward pass is run again: so it is
known that what was recorded is what these VJPs give.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from minires.checking.numerical import Settings

from .finding import Finding
from .records import Backward, Records
from .replay import OverwrittenSinceError, ReplayError, rerun
from .vjp_check import check_vjp

if TYPE_CHECKING:
    from .trace import Trace


@dataclass(frozen=True)
class Verification:
    """The check of a recorded step; true if something was compared, and nothing of it is wrong.

    What could not be compared is in `undecided`, and counts neither for the step nor against it.

    Attributes
    ----------
    findings : tuple of Finding
        In the order of the backward pass.
    """

    findings: tuple[Finding, ...]

    def __bool__(self) -> bool:
        return self.first is None and len(self.undecided) < len(self.findings)

    @property
    def first(self) -> Finding | None:
        """The first that is wrong, in the order of the backward pass; None if all is right.

        What is wrong behind it may follow from it.
        """
        return next((one for one in self.findings if one.status == "wrong"), None)

    @property
    def undecided(self) -> tuple[Finding, ...]:
        """What could not be compared, each with the reason."""
        return tuple([one for one in self.findings if one.status == "undecided"])

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        decided = [one for one in self.findings if one.status != "undecided"]
        counts = {what: sum(one.what == what for one in decided) for what in _TOLD}
        told = ", ".join(f"{count} {_TOLD[what]}" for what, count in counts.items() if count)
        wrong = [one for one in decided if one.status == "wrong"]
        if wrong:
            lines = [f"{len(wrong)} of {told} are wrong; the first is", f"  {wrong[0]}"]
            lines += [f"  then {one}" for one in wrong[1:4]]
            lines += [f"  ... and {len(wrong) - 4} more"] if len(wrong) > 4 else []
        elif decided:
            lines = [f"the recorded step is right: {told}"]
        else:
            lines = ["nothing of the recorded step could be checked"]
        if self.undecided:
            lines.append(f"{len(self.undecided)} could not be compared, such as")
            lines.append(f"  {self.undecided[0]}")
        return "\n".join(lines)


_TOLD = {
    "vjp": "VJPs compared with differences",
    "sum": "sums with their contributions",
    "again": "gradients with those of a second run",
}


def verify(trace: Trace, samples: int = 2, seed: int = 0) -> Verification:
    """Check a recorded step; see `Trace.check`."""
    records, tape = trace.records, trace.tape
    if not records.backward:
        raise ReplayError("there is no gradient to check: backward has not run in the with-block")
    if tape is None:
        raise ReplayError(
            f"checking gradients needs the values that the VJPs used: {records.budget.replay_state}"
        )
    # What warned while it was recorded would warn again.
    with np.errstate(all="ignore"):
        again = {
            visit.index: error
            for run in range(records.backward[-1].run + 1)
            for visit, error in rerun(trace, tape, run)
        }
    for error in again.values():
        if isinstance(error, OverwrittenSinceError):
            raise error
    findings: list[Finding] = []
    checked: set[int] = set()
    settings = Settings(seed=seed, mode="random", samples=samples)
    for visit in records.backward:
        if len(visit.parts) > 1:
            findings.append(_sum(records, visit))
        if visit.index in again:
            findings.append(_again(records, visit, again[visit.index]))
        node = tape.nodes.get(visit.value)
        if visit.op is not None and node is not None and visit.value not in checked:
            checked.add(visit.value)
            findings.append(check_vjp(records, tape, visit, node, settings))
    return Verification(tuple(findings))


def _sum(records: Records, visit: Backward) -> Finding:
    value = records.values[visit.value]
    if visit.verdict == "exact":
        return Finding("sum", value.name, value.op, "right")
    if visit.verdict == "unseen":
        why = "the recording was told not to look at it (select=...)"
        return Finding("sum", value.name, value.op, "undecided", message=why)
    shares = [part.share for part in visit.parts if part.share is not None]
    total = math.fsum(shares) if len(shares) == len(visit.parts) else math.nan
    return Finding(
        "sum",
        value.name,
        value.op,
        "wrong",
        found=total,
        expected=1.0,
        message=f"its gradient is not the sum of its {len(visit.parts)} contributions, whose shares"
        f" of it add up to {total:.9g} instead of 1",
    )


def _again(records: Records, visit: Backward, error: ReplayError | None) -> Finding:
    value = records.values[visit.value]
    if error is None:
        return Finding("again", value.name, value.op, "right")
    changed_since = "comes out differently" not in str(error)
    consumers = [records.forward[p.consumer] for p in visit.parts if p.consumer is not None]
    senders = " and ".join(records.values[step.output].name for step in consumers)
    told = f"{error}; it was sent by {senders}" if senders else str(error)
    status: Literal["undecided", "wrong"] = "undecided" if changed_since else "wrong"
    step = consumers[0].index if consumers else value.op
    return Finding("again", value.name, step, status, message=told)
