"""What is said above and below the table of a trace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..forks import forks
from .words import Glyphs, Scale, amount, number, only, percent, spoken

if TYPE_CHECKING:
    from ..records import Spectrum
    from ..trace import Trace


def title_of(trace: Trace) -> str:
    """Return what the trace calls itself."""
    return only(trace.records.title) or "trace"


def marks_of(*traces: Trace) -> list[str]:
    """Return the least that tells traces apart that stand side by side."""
    titles = [title_of(trace) for trace in traces]
    if len(set(titles)) == len(titles):
        return titles
    marks = ["residual" if trace.structure.joins else "plain" for trace in traces]
    return marks if len(set(marks)) == len(marks) else ["left", "right"]


def names_of(*traces: Trace) -> list[str]:
    """Return what to call traces that stand side by side; equal titles are told apart."""
    pairs = [(title_of(trace), mark) for trace, mark in zip(traces, marks_of(*traces), strict=True)]
    return [title if title == mark else f"{title}, {mark}" for title, mark in pairs]


def extent(trace: Trace, name: str) -> str:
    """Say whose trace it is, and how large."""
    done = sum(step.vjp_of is None for step in trace.records.forward)
    backward = spoken(len(trace.records.backward), "backward step")
    return f"{name}: {done} forward and {backward}"


def opening(trace: Trace, name: str | None = None) -> str:
    """Say in one line whose trace it is, how large, and what it keeps."""
    records, budget = trace.records, trace.records.budget
    told = [extent(trace, name or title_of(trace)), f"save={records.save}"]
    if budget.replay_state != "kept":
        told.append(f"replay {budget.replay_state.removesuffix('.')}")
    elif records.forward:
        told.append(f"replay kept: {amount(budget.replay, 'B')}")
    if budget.arrays:
        told.append(f"arrays: {amount(budget.arrays, 'B')}")
    if budget.left_out:
        limit = amount(budget.limit, "B")
        told.append(f"{spoken(budget.left_out, 'array')} left out, the budget is {limit}")
    return ", ".join(told)


def news(trace: Trace) -> list[str]:
    """Say what is missing from a trace, and what is wrong with what it recorded."""
    records = trace.records
    found = []
    if records.values and not any(value.stats for value in records.values):
        found.append("no value was looked at: select=... matches none of their names")
    if trace.structure.unnamed_joins and not trace.structure.joins:
        found.append(
            f"{spoken(len(trace.structure.unnamed_joins), 'plain addition')} (+) joins two ways"
            " from one value; mr.ops.residual_add(shortcut, branch) would tell them apart"
        )
    if records.error is not None:
        found.append(f"ended by {only(records.error)}; what ran before is kept")
    if not records.forward:
        found.append("nothing was recorded: no op of minires ran inside the with-block")
    elif not records.backward:
        found.append("backward has not run inside the with-block: there is no gradient to see")
    wrong = [fork for fork in forks(trace) if fork.verdict == "wrong"]
    if wrong:
        found.append(
            f"the contributions at {only(wrong[0].name)} do not add up to the gradient that the"
            " engine used"
        )
    for kind, at in records.steps:
        stats = (
            records.values[records.forward[at].output].stats
            if kind == "forward"
            else records.backward[at].stats
        )
        if stats is not None and not stats.finite:
            step = records.forward[at].output if kind == "forward" else records.backward[at].value
            what = "value" if kind == "forward" else "gradient"
            name = only(records.values[step].name)
            found.append(
                f"the first NaN or infinity is in the {what} of {name} ({kind} step {at}):"
                f" {stats.nans} NaN, {stats.infs} infinite"
            )
            break
    return found


def sums(trace: Trace) -> str:
    """Say how many forks' sums were verified; '' where there are none."""
    found = forks(trace)
    if not found:
        return ""
    seen = [fork for fork in found if fork.verdict != "unseen"]
    exact = sum(fork.verdict == "exact" for fork in seen)
    left = len(found) - len(seen)
    unseen = f"; {spoken(left, 'sum')} at forks not looked at (select=...)" if left else ""
    if not seen:
        return unseen.removeprefix("; ")
    if len(seen) == exact == 1:
        return f"the one sum at a fork is bit for bit the engine's gradient{unseen}"
    which = f"all {exact}" if exact == len(seen) else f"{exact} of {len(seen)}"
    return f"{which} sums at forks are bit for bit the engine's gradient{unseen}"


def legend(shortcuts: bool, nothing_came: bool, scale: Scale | None, marks: Glyphs) -> list[str]:
    """Explain the marks and the columns."""
    found = []
    if shortcuts:
        found.append(
            f"{marks.join} adds its shortcut, the arc that ends there. shortcut, branch: in which"
            " shares the gradient at the block's input came through them (they, and other"
            " uses if any, sum to 100%)"
        )
    if nothing_came:
        found.append(f"{marks.none} for the shares: the gradient at the block's input is 0")
    if scale is not None:
        found.append(f"bars: |gradient| of the output, {scale}, logarithmic")
    return found


def spectrum_lines(spectrum: Spectrum, width: int, marks: Glyphs) -> list[str]:
    """Draw a path spectrum: what share of the gradient crossed how many branches."""
    found = [
        f"path spectrum at {only(spectrum.at)}, |gradient| {number(spectrum.total)}:"
        " branches crossed, |part|, share"
    ]
    most = max((abs(share) for share in spectrum.shares if share is not None), default=0.0) or 1.0
    room = max(8, min(40, width - 30))
    for crossed, (norm, share) in enumerate(zip(spectrum.norms, spectrum.shares, strict=True)):
        part = Scale(0, 1)
        # A linear bar: 10 to the power of its length lies on the scale from 1 to 10.
        size = 0.0 if share is None else abs(share) / most
        bar = part.bar(10**size, room, marks) if size > 1 / room / 16 else ""
        found.append(
            f"{crossed:>6}  {number(norm, marks):>8}  {percent(share, marks):>5}  {bar}".rstrip()
        )
    return found


def lines_of_news(traces: Sequence[Trace]) -> list[str]:
    """Collect what is to be said of each trace, by name where there are two."""
    return [
        text if len(traces) == 1 else f"{name}: {text}"
        for trace, name in zip(traces, names_of(*traces), strict=True)
        for text in news(trace)
    ]
