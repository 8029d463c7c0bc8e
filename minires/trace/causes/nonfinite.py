"""Where NaN and infinity come from: the first step that made one out of finite numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from ..records import Backward, Forward, Records, Stats
from .cause import Cause
from .ways import Ways

Step = tuple[Literal["forward", "backward"], int]


def _bad(stats: Stats | None) -> bool:
    return stats is not None and not stats.finite


def why_not_finite(ways: Ways) -> Iterator[Cause]:
    """Trace the NaN or infinity of a value's gradient back to its origins, the earliest first.

    Follows what is not finite: from the gradient to the gradients that it was made of; where those
    are finite, to the values that the VJP used; and from a value to the op that made it.
    """
    records = ways.records
    origins: dict[int, Cause] = {}
    order = {step: number for number, step in enumerate(records.steps)}
    for visit in ways.visits:
        after = ways.gradient(visit)
        if visit.changed_by_hook and not _bad(visit.stats) and after is not None and _bad(after):
            place, number = records.values[visit.value].name, order["backward", visit.index]
            origins[number] = Cause(
                "hook",
                place,
                float(after.nans + after.infs),
                f"a hook on {place} replaced its finite gradient by one that holds"
                f" {_counted(after)}.",
                step=records.values[visit.value].op,
                effect=float("inf"),
            )
        if not _bad(visit.stats) or (visit.op is None and visit is not ways.visit):
            continue
        for part in visit.parts:
            if not _bad(part.stats) or part.consumer is None:
                continue
            step = records.forward[part.consumer]
            before = _visit_of(ways, step.output)
            if before is None or _bad(ways.gradient(before)):
                continue  # it came from further up, which is looked at as well
            values = [step.output, *(o.value for o in step.operands if o.value is not None)]
            bad = [index for index in values if _bad(records.values[index].stats)]
            if bad:
                for index in bad:
                    number, cause = _origin_of_value(records, index, order)
                    origins[number] = cause
                continue
            stats = part.stats
            assert stats is not None
            number = order["backward", before.index]
            name = ways.name(step)
            origins[number] = Cause(
                "not_finite",
                step.module or name,
                float(stats.nans + stats.infs),
                f"the VJP of {name} is the first step that is not finite: from a finite gradient"
                f" and finite inputs it made {_counted(stats)} for its input {part.edge!r}.",
                step=step.index,
                effect=float("inf"),
            )
    own = ways.visit
    if own is not None and not origins:
        start = next((v for v in ways.visits if _bad(v.stats)), own)
        assert start.stats is not None
        name = records.values[start.value].name
        told = "backward() began with" if any(p.consumer is None for p in start.parts) else "met"
        origins[0] = Cause(
            "not_finite",
            name,
            float(start.stats.nans + start.stats.infs),
            f"{told} {_counted(start.stats)} at {name}.",
            effect=float("inf"),
        )
    for number in sorted(origins):
        yield origins[number]


def why_start_not_finite(ways: Ways) -> Iterator[Cause]:
    """Say that the loss is NaN or infinite, of a gradient that is finite nevertheless.

    Many gradients do not depend on the loss's own number: that of a sum, for one.
    """
    records = ways.records
    order = {step: number for number, step in enumerate(records.steps)}
    for visit in ways.visits:
        start = records.values[visit.value]
        if _bad(start.stats) and any(part.consumer is None for part in visit.parts):
            assert start.stats is not None
            _, origin = _origin_of_value(records, start.index, order)
            told = f"backward() began at {start.name}, which holds {_counted(start.stats)}, though"
            sentence = f"{told} this gradient is finite: {origin.sentence}"
            yield replace(origin, sentence=sentence)


def _visit_of(ways: Ways, value: int) -> Backward | None:
    return next((visit for visit in ways.visits if visit.value == value), None)


def _origin_of_value(records: Records, index: int, order: dict[Step, int]) -> tuple[int, Cause]:
    """Go from a value that is not finite to the earliest of its kind that it depends on."""
    index = _source(records, index)
    ancestors = {index}
    origin: Forward | None = None
    given: int | None = index if records.values[index].op is None else None
    for step in reversed(records.forward):
        if step.output not in ancestors:
            continue
        operands = [o.value for o in step.operands if o.value is not None]
        bad = [i for i in operands if _bad(records.values[i].stats)]
        bad = [_source(records, i) for i in bad]
        ancestors.update(bad)
        if not bad:
            origin = step  # the walk goes back in time: the last one found is the earliest
        given = next((i for i in bad if records.values[i].op is None), given)
    if given is not None:
        value = records.values[given]
        assert value.stats is not None
        return -1, Cause(
            "not_finite",
            value.name,
            float(value.stats.nans + value.stats.infs),
            f"{value.name} was not finite when it was given: it holds {_counted(value.stats)}.",
            effect=float("inf"),
        )
    assert origin is not None
    stats = records.values[origin.output].stats
    assert stats is not None
    name = records.values[origin.output].name
    return order["forward", origin.index], Cause(
        "not_finite",
        origin.module or name,
        float(stats.nans + stats.infs),
        f"the forward pass of {name} is the first step that is not finite: from finite inputs it"
        f" made {_counted(stats)}.",
        step=origin.index,
        effect=float("inf"),
    )


def _source(records: Records, index: int) -> int:
    """Return whose numbers these are: a detached copy's, unless it was written, its source's."""
    source = records.values[index].detached_from
    return source if source is not None and _bad(records.values[source].stats) else index


def _counted(stats: Stats) -> str:
    nans = f"{stats.nans} NaN" if stats.nans else ""
    infs = f"{stats.infs} infinite" if stats.infs else ""
    return " and ".join(filter(None, (nans, infs))) + " numbers"
