"""Where a stepper stops: the steps of a trace, what belongs together folded into one."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ..records import Records


class Key(NamedTuple):
    """What tells a stop from all others.

    Attributes
    ----------
    number : int
        Index into `Records.steps` of its first step.
    level : int
        0 for a single step; how many calls lie around the steps of a spelled-out op, from 1.
    """

    number: int
    level: int


@dataclass(frozen=True)
class Stop:
    """A place to stop at.

    Attributes
    ----------
    key : Key
    kind : {"forward", "backward"}
    steps : tuple of int
        Indices of the forward or backward steps; several for an op that `expand` spelled out.
    inside : tuple of Stop
        What opens beneath it: the steps of the spelled-out op; or, of a backward step that was
        itself recorded, the ops that its VJP ran.
    twin : str
        The op that the steps spell out; '' for a single step.
    """

    key: Key
    kind: Literal["forward", "backward"]
    steps: tuple[int, ...]
    inside: tuple[Stop, ...] = ()
    twin: str = ""


@dataclass(frozen=True)
class _Step:
    number: int
    kind: Literal["forward", "backward"]
    index: int
    calls: tuple[str, ...]


def stops_of(records: Records) -> list[Stop]:
    """Return the outermost stops, in the order in which the steps happened.

    Parameters
    ----------
    records : Records

    Returns
    -------
    list of Stop
    """
    within: dict[int, list[_Step]] = {}
    steps = []
    for number, (kind, index) in enumerate(records.steps):
        step = _Step(number, kind, index, _calls(records, kind, index))
        owner = records.forward[index].vjp_of if kind == "forward" else None
        if owner is None:
            steps.append(step)
        else:
            within.setdefault(owner, []).append(step)
    return _folded(steps, 0, within)


def flat(stops: Iterable[Stop], opened: frozenset[Key]) -> Iterator[tuple[Stop, int]]:
    """Walk over the stops, and into those that are opened; yield each with its depth."""
    ahead = [(iter(stops), 0)]
    while ahead:
        siblings, depth = ahead[-1]
        stop = next(siblings, None)
        if stop is None:
            ahead.pop()
            continue
        yield stop, depth
        if stop.key in opened:
            ahead.append((iter(stop.inside), depth + 1))


def _folded(steps: list[_Step], level: int, within: dict[int, list[_Step]]) -> list[Stop]:
    """Fold neighbours that spell out the same call of an op."""
    found = []
    for (kind, call), run in itertools.groupby(
        steps, lambda step: (step.kind, step.calls[level] if len(step.calls) > level else "")
    ):
        members = list(run)
        if call and len(members) > 1:
            inside = tuple(_folded(members, level + 1, within))
            key = Key(members[0].number, level + 1)
            done = tuple(step.index for step in members)
            found.append(Stop(key, kind, done, inside, call.partition(":")[0]))
        else:
            found += [_single(step, within) for step in members]
    return found


def _single(step: _Step, within: dict[int, list[_Step]]) -> Stop:
    ran = within.get(step.index, []) if step.kind == "backward" else []
    inside = tuple(_single(each, within) for each in ran)
    return Stop(Key(step.number, 0), step.kind, (step.index,), inside)


def _calls(records: Records, kind: Literal["forward", "backward"], index: int) -> tuple[str, ...]:
    """Return the calls that a step helps to spell out, the outermost first."""
    made = index if kind == "forward" else records.values[records.backward[index].value].op
    twin = "" if made is None else records.forward[made].twin_of
    return tuple(twin.split("/")) if twin else ()
