"""Why no gradient came, or only a part of it: the graph ends somewhere, or backward did not run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..records import Forward, Operand, Records, Value
from .cause import Cause


class Cut(NamedTuple):
    """A place at which a value goes on, but its gradient does not come back.

    Attributes
    ----------
    source : int
        The last value whose gradient would have been found.
    user : Forward
        The op that used it, or a detached copy of it.
    how : {"detached", "no_grad", "not_differentiable"}
    """

    source: int
    user: Forward
    how: str


def why_missing(records: Records, value: Value) -> Iterator[Cause]:
    """Say why a value has no gradient at all."""
    if not value.requires_grad:
        yield _not_required(records, value)
        return
    if not records.backward:
        ended = f" The with-block ended early: {records.error}." if records.error else ""
        yield Cause(
            "backward_not_run",
            value.name,
            0.0,
            "backward() was not called inside the with-block: there were"
            f" {len(records.forward)} forward steps and 0 backward steps.{ended}",
        )
        return
    users = [s for s in records.forward if any(o.value == value.index for o in s.operands)]
    cuts = list(cuts_behind(records, value))
    for cut in cuts:
        yield _told(records, cut)
    if cuts:
        return
    if not users:
        yield unused(value.name)
        return
    start = records.values[records.backward[0].value].name
    yield Cause(
        "not_reached",
        value.name,
        float(len(users)),
        f"the backward pass began at {start}, which does not depend on {value.name}: of the"
        f" {len(users)} ops that used it, none leads there.",
    )


def unused(name: str) -> Cause:
    """Say that no op used a parameter."""
    return Cause("not_used", name, 0.0, f"no op used {name}: it was given to 0 recorded steps.")


def _not_required(records: Records, value: Value) -> Cause:
    if value.kind == "result" and value.op is not None:
        step = records.forward[value.op]
        inputs = [o.value for o in step.operands if o.value is not None]
        needing = [records.values[i].name for i in inputs if records.values[i].requires_grad]
        if needing:
            how = "no_grad" if _is_float(value) else "not_differentiable"
            return _told(records, Cut(value.index, step, how), needing[0])
        return Cause(
            "no_gradient_required",
            step.module or value.name,
            0.0,
            f"{value.name} requires no gradient: none of its {len(inputs)} inputs does.",
            step=step.index,
        )
    if value.detached_from is not None:
        source = records.values[value.detached_from].name
        return Cause(
            "detached",
            value.name,
            1.0,
            f"{value.name} is {source} without its history: detach() cut it from the graph.",
        )
    what = "the parameter" if value.kind == "parameter" else "the value"
    return Cause(
        "no_gradient_required",
        value.name,
        0.0,
        f"{what} {value.name} has requires_grad=False, so that no VJP computes its gradient.",
    )


def partly_missing(records: Records, value: Value) -> Iterator[Cause]:
    """Name the ways to the loss by which no gradient comes back to a value that has one."""
    for cut in cuts_behind(records, value):
        yield _told(records, cut)


def cuts_behind(records: Records, value: Value) -> Iterator[Cut]:
    """Find where, between a value and what backward began with, the graph is cut."""
    reached = {visit.value for visit in records.backward}
    useful = _used_for(records, reached)
    behind = {value.index}
    copies = {v.index: v for v in records.values if v.detached_from is not None}
    for step in records.forward:
        if step.output not in useful:
            continue
        operands = [o.value for o in step.operands if o.value is not None]
        if step.recorded:
            for operand in operands:
                copy = copies.get(operand)
                if copy is not None and copy.detached_from in behind and step.output in reached:
                    yield Cut(copy.detached_from, step, "detached")
            if not behind.isdisjoint(operands):
                behind.add(step.output)
        elif not behind.isdisjoint(operands) and _is_float(records.values[step.output]):
            source = next(operand for operand in operands if operand in behind)
            needing = records.values[source].requires_grad
            if needing:
                yield Cut(source, step, "no_grad")


def _used_for(records: Records, reached: set[int]) -> set[int]:
    """The values that what backward visited was computed from, by whatever ops."""
    useful = set(reached)
    for step in reversed(records.forward):
        if step.output in useful:
            for operand in step.operands:
                if operand.value is not None:
                    useful.add(operand.value)
                    source = records.values[operand.value].detached_from
                    # A copy shares the numbers of its source, if not its gradient.
                    useful.update(() if source is None else (source,))
    return useful


def _told(records: Records, cut: Cut, source: str = "") -> Cause:
    source = source or records.values[cut.source].name
    user = cut.user
    name = records.values[user.output].name
    place = user.module or name
    if cut.how == "detached":
        edge = _edge(records, user, cut.source).edge
        return Cause(
            "detached",
            place,
            1.0,
            f"{name} got a copy of {source} as {edge!r} that detach() had cut from the graph: by"
            " this use, 1 of those on the way to the loss, no gradient comes back.",
            step=user.index,
        )
    if cut.how == "no_grad":
        return Cause(
            "no_grad",
            place,
            1.0,
            f"{name} computed with {source} under no_grad(), or is not differentiable: by this use"
            " no gradient comes back.",
            step=user.index,
        )
    return Cause(
        "not_differentiable",
        place,
        1.0,
        f"{name} gives {records.values[user.output].dtype}, by which there is no derivative.",
        step=user.index,
    )


def _edge(records: Records, user: Forward, source: int) -> Operand:
    for operand in user.operands:
        if operand.value is not None and records.values[operand.value].detached_from == source:
            return operand
    return user.operands[0]


def _is_float(value: Value) -> bool:
    return value.dtype.startswith(("float", "bfloat"))
